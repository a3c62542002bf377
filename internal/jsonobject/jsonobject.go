// Package jsonobject reads the members of JSON objects in place. It copies nothing, and
// unlike encoding/json it takes the names of members as they are: "Method" is not "method".
package jsonobject

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// Valid reports whether doc is one JSON value (RFC 8259) in UTF-8 that is nested at most
// depth levels deep.
func Valid(doc []byte, depth int) bool {
	return shallow(doc, depth) && utf8.Valid(doc) && json.Valid(doc)
}

// shallow reports whether doc is nested at most depth levels deep. It comes first, since
// json.Valid remembers each level.
func shallow(doc []byte, depth int) bool {
	level := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = afterString(doc, i) - 1
		case '{', '[':
			if level++; level > depth {
				return false
			}
		case '}', ']':
			level--
		}
	}
	return true
}

// afterString returns the index after the string that begins at doc[i]; len(doc) if it does
// not end.
func afterString(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}

// Members yields the names and values of an object, in its order; nothing for any other
// value. Names that occur twice are yielded twice. doc must be valid.
func Members(doc []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for name, value := range items(doc, '{') {
			if bytes.IndexByte(name, '\\') < 0 {
				name = name[1 : len(name)-1]
			} else {
				name = []byte(unquoted(name))
			}
			if !yield(name, value) {
				return
			}
		}
	}
}

// Elements yields the elements of an array; nothing for any other value. doc must be valid.
func Elements(doc []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, value := range items(doc, '[') {
			if !yield(value) {
				return
			}
		}
	}
}

// items yields what an object or an array holds, whichever opens with the byte open. For an
// array the names are nil.
func items(doc []byte, open byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if Kind(doc) != open {
			return
		}
		for i := skipSpace(doc, 0) + 1; ; i++ { // after the bracket, or a comma
			i = skipSpace(doc, i)
			if i >= len(doc) || doc[i] == '}' || doc[i] == ']' {
				return
			}
			var name []byte
			if open == '{' {
				end := afterString(doc, i)
				name = doc[i:end]
				i = skipSpace(doc, skipSpace(doc, end)+1) // the colon
			}
			end := afterValue(doc, i)
			if !yield(name, doc[i:end]) {
				return
			}
			if i = skipSpace(doc, end); i >= len(doc) || doc[i] != ',' {
				return
			}
		}
	}
}

// afterValue returns the index after the value that begins at doc[i].
func afterValue(doc []byte, i int) int {
	level := 0
	for ; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			if i = afterString(doc, i) - 1; level == 0 {
				return i + 1
			}
		case '{', '[':
			level++
		case '}', ']':
			if level--; level < 0 {
				return i // the end of what the value is in
			} else if level == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if level == 0 {
				return i
			}
		}
	}
	return len(doc)
}

func skipSpace(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\t' || doc[i] == '\r' || doc[i] == '\n') {
		i++
	}
	return i
}

// Kind returns what a value is, by its first byte: '{', '[', '"', 't', 'f', 'n', or '0' for
// a number; 0 if there is no value.
func Kind(value []byte) byte {
	i := skipSpace(value, 0)
	if i == len(value) {
		return 0
	}
	switch c := value[i]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	}
	return '0'
}

// Text returns a string's value; ok is false for any other value.
func Text(value []byte) (text string, ok bool) {
	if Kind(value) != '"' {
		return "", false
	}
	return unquoted(bytes.TrimSpace(value)), true
}

// unquoted returns the value of a valid JSON string with its quotes.
func unquoted(s []byte) string {
	if bytes.IndexByte(s, '\\') < 0 {
		return string(s[1 : len(s)-1])
	}
	var text string
	if err := json.Unmarshal(s, &text); err != nil { // it is valid
		panic(err)
	}
	return text
}

// AppendText appends a JSON string whose value is doc, compact and valid JSON. Such a
// document has no control characters.
func AppendText(dst, doc []byte) []byte {
	dst = append(dst, '"')
	for {
		i := bytes.IndexAny(doc, `"\`)
		if i < 0 {
			break
		}
		dst = append(append(dst, doc[:i]...), '\\', doc[i])
		doc = doc[i+1:]
	}
	return append(append(dst, doc...), '"')
}
