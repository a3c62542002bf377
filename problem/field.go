package problem

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A FieldError says what is wrong with one part of a request, in the form of the example
// in RFC 9457, section 3. InBody, InQuery and InHeader make one.
type FieldError struct {
	// Detail tells a person what is wrong with this part, as a sentence without its
	// subject: "must be true or false".
	Detail string `json:"detail"`
	// One of these says which part it is: a Pointer into the JSON body, the name of a
	// query parameter, or the name of a header field.
	Pointer   string `json:"pointer,omitempty"`
	Parameter string `json:"parameter,omitempty"`
	Header    string `json:"header,omitempty"`
	// Field and Message are deprecated; they are sent for one more release, for clients
	// of earlier versions. Field is the path of a JSON member such as
	// "tools[2].endpoint", or the name of the parameter or header field. Message is the
	// same as Detail.
	Field   string `json:"field"`
	Message string `json:"message"`
}

// InBody returns an error about the part of the body that p points at. field is the path
// of that part in the form of earlier versions (see FieldError.Field).
func InBody(p Pointer, field, detail string) FieldError {
	return FieldError{Detail: detail, Pointer: p.text, Field: field, Message: detail}
}

// InQuery returns an error about a query parameter.
func InQuery(parameter, detail string) FieldError {
	return FieldError{Detail: detail, Parameter: parameter, Field: parameter, Message: detail}
}

// InHeader returns an error about a header field.
func InHeader(name, detail string) FieldError {
	return FieldError{Detail: detail, Header: name, Field: name, Message: detail}
}

// MarshalJSON cuts long texts and replaces what is not UTF-8, as Problem.JSON does.
func (e FieldError) MarshalJSON() ([]byte, error) {
	type plain FieldError // has no MarshalJSON
	for _, text := range []*string{&e.Detail, &e.Parameter, &e.Header, &e.Field, &e.Message} {
		*text = clip(*text)
	}
	return json.Marshal(plain(e))
}

// A Pointer is a JSON pointer as a URI fragment (RFC 6901, section 6), such as
// "#/tools/2/endpoint", the form that RFC 9457 uses. It points at a value of the body, or
// at the place where one is missing. Body points at the whole body; the zero Pointer
// points at nothing.
type Pointer struct {
	text string
	cut  bool // it points at a parent of what was meant
}

// Body points at the whole body.
var Body = Pointer{text: "#"}

// Member returns a pointer to a member of the object that p points at. If that would be
// longer than 1,024 bytes it returns p: a pointer that is cut off would point at
// something else.
func (p Pointer) Member(name string) Pointer { return p.child(name) }

// Element returns a pointer to the element i, from 0, of the array that p points at.
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
