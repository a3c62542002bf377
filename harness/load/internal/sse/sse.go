// Package sse reads server-sent events (WHATWG HTML, section 9.2.6) for their names, in little
// memory however long their data is.
package sse

import (
	"bufio"
	"io"
	"strings"
)

// keptOfLine is how much of a line is kept: the names of fields and events are
// short, and the data, which may be long, is only counted.
const keptOfLine = 256

const byteOrderMark = "\xef\xbb\xbf"

// A Reader reads one stream.
type Reader struct {
	r     *bufio.Reader
	begun bool // past the first byte, before which a byte order mark may be
	cr    bool // the last line ended in CR: an LF may follow, which belongs to it
	line  []byte
}

// NewReader reads the stream that is the body of a response.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReader(r)} }

// Next returns the name of the next event: "message" where it says none. As the
// standard has it, what carries no data is no event, and one that is cut off by
// the stream's end is none.
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

// readLine returns the beginning of the next line, which CR, LF or both end.
func (e *Reader) readLine() ([]byte, error) {
	if !e.begun {
		e.begun = true
		if first, err := e.r.Peek(1); err == nil && first[0] == byteOrderMark[0] {
			if mark, err := e.r.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
				_, _ = e.r.Discard(len(byteOrderMark)) // they are there
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
		case b == '\n' && cr: // of the line before
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
