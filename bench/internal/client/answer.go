package client

import (
	"bytes"
	"errors"
	"fmt"
)

// maxHead bounds the head of an answer in bytes.
const maxHead = 16 << 10

var (
	endOfHead = []byte("\r\n\r\n")
	version   = []byte("HTTP/1.1 ")
)

// A parser reads the answers on one connection, in pieces as they arrive, and compares them
// with the expected one. Of HTTP/1.1 (RFC 9112) it knows just enough to find the end of an
// answer: the status and Content-Length. An answer in chunks is an error.
type parser struct {
	want    *Exchange
	head    []byte // the beginning of a head that is not complete yet
	rest    int    // bytes of the body that are still to be read
	compare bool   // compare the body that is being read with the expected one
	// compared is set once a body has been compared, which is done once for each connection.
	compared bool
	closes   bool // the last head has Connection: close
}

// reset makes the parser ready for another connection.
func (p *parser) reset() {
	p.head, p.rest, p.compare, p.compared, p.closes = p.head[:0], 0, false, false, false
}

// feed parses the bytes that were read next and returns how many answers end in them. After
// an error the connection must not be used any more.
func (p *parser) feed(b []byte) (answers int, err error) {
	for len(b) > 0 {
		if p.rest > 0 {
			n := min(p.rest, len(b))
			if p.compare {
				at := len(p.want.Body) - p.rest
				if !bytes.Equal(b[:n], p.want.Body[at:at+n]) {
					return answers, p.differs(b[:n], at)
				}
			}
			if p.rest -= n; p.rest == 0 {
				answers++
			}
			b = b[n:]
			continue
		}
		var head []byte
		if head, b, err = p.cut(b); err != nil || head == nil {
			return answers, err
		}
		if err := p.begin(head); err != nil {
			return answers, err
		}
		if p.rest == 0 {
			answers++
		}
	}
	return answers, nil
}

// cut returns the next head, up to and including the CR LF of its last line, and the bytes
// after its empty line. It returns no head if the head is not complete yet.
func (p *parser) cut(b []byte) (head, after []byte, err error) {
	had := len(p.head)
	if had == 0 {
		if end := bytes.Index(b, endOfHead); end >= 0 && end <= maxHead {
			return b[:end+2], b[end+4:], nil
		}
	}
	n := min(len(b), maxHead-had)
	p.head = append(p.head, b[:n]...)
	from := max(0, had-len(endOfHead)+1)
	end := bytes.Index(p.head[from:], endOfHead)
	if end < 0 {
		if len(p.head) == maxHead {
			return nil, nil, fmt.Errorf("the head of the answer is longer than %d bytes", maxHead)
		}
		return nil, nil, nil
	}
	end += from
	head, p.head = p.head[:end+2], p.head[:0]
	return head, b[end+4-had:], nil
}

// begin parses a head, whose lines end in CR LF.
func (p *parser) begin(head []byte) error {
	line, fields := cutLine(head)
	if len(line) < 12 || !bytes.HasPrefix(line, version) || len(line) > 12 && line[12] != ' ' {
		return fmt.Errorf("the answer does not begin with HTTP/1.1 and a status: %.60q", line)
	}
	status, ok := number(line[9:12])
	if !ok {
		return fmt.Errorf("the status is not a number: %.60q", line)
	}
	if status != p.want.Status {
		return fmt.Errorf("status %d, not %d: %.400q", status, p.want.Status, head)
	}
	length := -1
	p.closes = false
	for len(fields) > 0 {
		line, fields = cutLine(fields)
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || line[0] == ' ' || line[0] == '\t' {
			return fmt.Errorf("a line of the head is no field: %.60q", line)
		}
		// Comparing the lengths first is faster: few other names have these lengths.
		switch name := line[:colon]; {
		case len(name) == len("Content-Length") && equalFold(name, "content-length"):
			n, ok := number(trim(line[colon+1:]))
			if !ok || length >= 0 && n != length {
				return fmt.Errorf("bad Content-Length: %.60q", line)
			}
			length = n
		case len(name) == len("Connection") && equalFold(name, "connection"):
			p.closes = p.closes || equalFold(trim(line[colon+1:]), "close")
		case len(name) == len("Transfer-Encoding") && equalFold(name, "transfer-encoding"):
			return errors.New("the answer comes in chunks (Transfer-Encoding), which this client does not read; let the server send Content-Length")
		}
	}
	// These have no body, whatever Content-Length says (RFC 9110, sections 15.3.5 and 15.4.5).
	if status == 304 || status == 204 {
		p.rest, p.compared = 0, true
		return nil
	}
	if length < 0 {
		return fmt.Errorf("the answer has no Content-Length: %.400q", head)
	}
	if length != len(p.want.Body) {
		return fmt.Errorf("a body of %d bytes, not %d", length, len(p.want.Body))
	}
	p.rest, p.compare, p.compared = length, !p.compared, true
	return nil
}

func (p *parser) differs(got []byte, at int) error {
	want := p.want.Body[at:]
	i := 0
	for got[i] == want[i] {
		i++
	}
	return fmt.Errorf("another body from byte %d on: %.60q, not %.60q", at+i, got[i:], want[i:])
}

// cutLine returns the first line without its CR LF, and what follows it. It returns nothing
// if the line does not end in CR LF.
func cutLine(b []byte) (line, rest []byte) {
	end := bytes.IndexByte(b, '\n')
	if end < 1 || b[end-1] != '\r' {
		return nil, nil
	}
	return b[:end-1], b[end+1:]
}

// number returns the value of one to nine decimal digits.
func number(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// trim removes the spaces and tabs at both ends of a field's value.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold reports whether b equals lower, which is in lower case, when the case of ASCII
// letters is ignored.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
