// Package sse reads the names of server-sent events (WHATWG HTML, section 9.2.6), in
// little memory however long their data is.
package sse

import (
	"bufio"
	"io"
	"strings"
)

// keptOfLine is how much of a line is kept: names of fields and events are short, and
// data is not kept.
const keptOfLine = 256

const byteOrderMark = "\xef\xbb\xbf"

type Reader struct {
	r     *bufio.Reader
	begun bool // past the first byte, where a byte order mark may be
	cr    bool // the last line ended in CR; an LF that follows belongs to it
	line  []byte
}

// NewReader returns a reader of the stream r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReader(r)} }

// Next returns the name of the next event; "message" if it has none. By the standard,
// an event without data is ignored, and so is one that the end of the stream cuts off.
func (e *Reader) Next() (string, error) {
	name, data := "", false
	for {
		line, err := e.readLine()
		if err != nil {
			return "", err
		}
		if len(line) == 0 {
			if data {
				if name == "" {
					name = "message"
				}
				return name, nil
			}
			name = ""
			continue
		}
		switch field, value, _ := strings.Cut(string(line), ":"); field {
		case "event":
			name = strings.TrimPrefix(value, " ")
		case "data":
			data = true
		}
	}
}

// readLine returns the beginning of the next line, which ends in CR, LF or both.
func (e *Reader) readLine() ([]byte, error) {
	if !e.begun {
		e.begun = true
		if first, err := e.r.Peek(1); err == nil && first[0] == byteOrderMark[0] {
			if mark, err := e.r.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
				_, _ = e.r.Discard(len(byteOrderMark)) // they were peeked at
			}
		}
	}
	e.line = e.line[:0]
	for {
		b, err := e.r.ReadByte()
		if err != nil {
			return nil, err
		}
		cr := e.cr
		e.cr = false
		switch {
		case b == '\n' && cr: // ends the line before
		case b == '\n':
			return e.line, nil
		case b == '\r':
			e.cr = true
			return e.line, nil
		case len(e.line) < keptOfLine:
			e.line = append(e.line, b)
		}
	}
}
