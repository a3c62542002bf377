package problem

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A FieldError says what is wrong with one part of a request, in the form of the
// example in RFC 9457, section 3. Make one with InBody, InQuery or InHeader.
type FieldError struct {
	// Detail says to a person what is wrong with this part, as a sentence about it:
	// "must be true or false".
	Detail string `json:"detail"`
	// One of these says which part: a pointer into a JSON body, see Pointer, else the
	// name of a query parameter, or of a header field.
	Pointer   string `json:"pointer,omitempty"`
	Parameter string `json:"parameter,omitempty"`
	Header    string `json:"header,omitempty"`
	// Field is the path of a JSON member such as "tools[2].endpoint", or the name of
	// another part, and Message the same as Detail. They are deprecated: clients of
	// earlier versions read them, and they are sent for one release more.
	Field   string `json:"field"`
	Message string `json:"message"`
}

// InBody is about the part of the body that p points at. field is its path in the form
// of earlier versions.
func InBody(p Pointer, field, detail string) FieldError {
	return FieldError{Detail: detail, Pointer: p.text, Field: field, Message: detail}
}

// InQuery is about a query parameter.
func InQuery(parameter, detail string) FieldError {
	return FieldError{Detail: detail, Parameter: parameter, Field: parameter, Message: detail}
}

// InHeader is about a header field.
func InHeader(name, detail string) FieldError {
	return FieldError{Detail: detail, Header: name, Field: name, Message: detail}
}

// MarshalJSON bounds what a client's input can add, as Problem.JSON does.
func (e FieldError) MarshalJSON() ([]byte, error) {
	type plain FieldError // without this method
	for _, text := range []*string{&e.Detail, &e.Parameter, &e.Header, &e.Field, &e.Message} {
		*text = clip(*text)
	}
	return json.Marshal(plain(e))
}

// A Pointer is a JSON pointer as a URI fragment (RFC 6901, section 6), such as
// "#/tools/2/endpoint": what RFC 9457 uses. It points at a value of the body, or at
// where one is missing. The zero Pointer is none; Body is the whole.
type Pointer struct {
	text string
	cut  bool // it stands for something deeper
}

// Body points at the whole body.
var Body = Pointer{text: "#"}

// Member points at a member of the object that p points at. A pointer that would be
// longer than 1,024 bytes stays where it is: cut, it would point at something else.
func (p Pointer) Member(name string) Pointer { return p.child(name) }

// Element points at an element of the array that p points at, from 0.
func (p Pointer) Element(i int) Pointer { return p.child(strconv.Itoa(i)) }

func (p Pointer) String() string { return p.text }

var escapeToken = strings.NewReplacer("~", "~0", "/", "~1")

func (p Pointer) child(token string) Pointer {
	if p.cut || len(p.text)+1+len(token) > maxText {
		return Pointer{p.text, true}
	}
	token = escapeToken.Replace(token)
	const hex = "0123456789ABCDEF"
	b := append([]byte(p.text), '/')
	for i := range len(token) {
		if c := token[i]; isFragment(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	if len(b) > maxText {
		return Pointer{p.text, true}
	}
	return Pointer{text: string(b)}
}

// isFragment reports whether c may stand in a URI's fragment as it is (RFC 3986,
// section 3.5).
func isFragment(c byte) bool {
	return isAlnum(c) || strings.IndexByte("-._~!$&'()*+,;=:@/?", c) >= 0
}
