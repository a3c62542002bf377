package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	answerTimeout = time.Minute // for all answers on one connection
	maxHead       = 16 << 10    // bytes of a response's head
	maxBody       = 4 << 20     // bytes of a response's body
	deep          = 16          // requests that Fetch sends at once
)

// Fetch sends the request of each workload to the server at addr, a host and port, and
// returns the answers. fields are sent in addition to the usual ones, for example
// Authorization. Each request is sent in all the ways that are measured: alone, several at
// once on the same connection, and with Connection: close. Fetch fails if the answers differ.
func Fetch(ctx context.Context, addr string, fields ...[2]string) (Set, error) {
	set := Set{}
	for _, w := range Workloads() {
		with := fields
		if w == NotModified {
			byName := set[ByName]
			tag := byName.field("ETag")
			if tag == "" {
				return nil, fmt.Errorf("the answer for %s has no ETag", ByName)
			}
			with = append(slices.Clip(with), [2]string{"If-None-Match", tag})
		}
		a, err := fetch(ctx, addr, target(w), with)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w, err)
		}
		set[w] = a
	}
	return set, nil
}

// fetch fetches the answer of one workload.
func fetch(ctx context.Context, addr, path string, fields [][2]string) (Answer, error) {
	a := Answer{Path: path, Request: request(path, fields)}
	a.Close = request(path, append(slices.Clip(fields), [2]string{"Connection", "close"}))
	first, err := ask(ctx, addr, a.Request, 1, false)
	if err != nil {
		return a, err
	}
	a.Status, a.Header, a.Body, a.Size = first[0].Status, first[0].Header, first[0].Body, first[0].Size
	kept, err := ask(ctx, addr, a.Request, 1+deep, false)
	if err != nil {
		return a, fmt.Errorf("%d requests on one connection: %w", 1+deep, err)
	}
	closed, err := ask(ctx, addr, a.Close, 1, true)
	if err != nil {
		return a, fmt.Errorf("with Connection: close: %w", err)
	}
	for _, b := range kept {
		if err := same(&a, &b); err != nil {
			return a, fmt.Errorf("the answer changes: %w", err)
		}
	}
	b := closed[0]
	if !strings.EqualFold(b.field("Connection"), "close") {
		return a, errors.New("the answer to a request with Connection: close doesn't say so")
	}
	without := func(h [][2]string) [][2]string {
		return slices.DeleteFunc(slices.Clone(h), func(f [2]string) bool { return strings.EqualFold(f[0], "Connection") })
	}
	kept[0].Header, b.Header, b.Size = without(a.Header), without(b.Header), a.Size
	if err := same(&kept[0], &b); err != nil {
		return a, fmt.Errorf("with Connection: close the answer is another one: %w", err)
	}
	return a, nil
}

// same compares two answers of one server.
func same(a, b *Answer) error {
	switch {
	case a.Status != b.Status:
		return fmt.Errorf("status %d, then %d", a.Status, b.Status)
	case !slices.Equal(a.names(), b.names()):
		return fmt.Errorf("fields %v, then %v", a.names(), b.names())
	case !bytes.Equal(a.Body, b.Body):
		return fmt.Errorf("body %s", difference(a.Body, b.Body))
	case a.Size != b.Size:
		return fmt.Errorf("%d bytes, then %d", a.Size, b.Size)
	}
	return nil
}

// ask sends the request the given number of times, first once and then the others at once,
// and returns the answers. With closes, the server must close the connection after the
// answer.
func ask(ctx context.Context, addr string, request []byte, times int, closes bool) ([]Answer, error) {
	dialer := net.Dialer{Timeout: answerTimeout}
	dial := dialer.DialContext
	if at, overTLS := strings.CutPrefix(addr, tlsScheme); overTLS {
		addr = at
		dial = (&tls.Dialer{NetDialer: &dialer, Config: &tls.Config{InsecureSkipVerify: true}}).DialContext // #nosec G402 -- a server that this program has started
	}
	c, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // all that is needed has been read
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(c, maxHead)
	var answers []Answer
	for i := range times {
		var batch []byte
		switch i {
		case 0:
			batch = request
		case 1:
			batch = bytes.Repeat(request, times-1)
		}
		if _, err := c.Write(batch); err != nil {
			return nil, err
		}
		a, err := readAnswer(in)
		if err != nil {
			return nil, fmt.Errorf("answer %d: %w", i+1, err)
		}
		answers = append(answers, a)
	}
	if closes {
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the connection is not closed after the answer: %v", err)
		}
	}
	return answers, nil
}

// readAnswer reads one response with a Content-Length, or without a body.
func readAnswer(in *bufio.Reader) (Answer, error) {
	var a Answer
	line, err := headLine(in, &a)
	if err != nil {
		return a, err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	if a.Status, err = strconv.Atoi(code); err != nil || version != "HTTP/1.1" {
		return a, fmt.Errorf("%q is no status line of HTTP/1.1", line)
	}
	for {
		if line, err = headLine(in, &a); err != nil {
			return a, err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return a, fmt.Errorf("%q is no header field", line)
		}
		a.Header = append(a.Header, [2]string{name, strings.TrimSpace(value)})
	}
	length := a.field("Content-Length")
	switch {
	case a.field("Transfer-Encoding") != "":
		return a, errors.New("the answer has Transfer-Encoding instead of a Content-Length")
	case a.Status == 304 && (length == "" || length == "0"):
		return a, nil
	case length == "":
		return a, errors.New("the answer has no Content-Length")
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > maxBody {
		return a, fmt.Errorf("Content-Length %q is none", length)
	}
	if a.Status == 304 {
		return a, nil // the length is that of the body of a 200 (RFC 9110, section 8.6)
	}
	a.Body = make([]byte, n)
	if _, err := io.ReadFull(in, a.Body); err != nil {
		return a, fmt.Errorf("body of %d bytes: %w", n, err)
	}
	a.Size += n
	return a, nil
}

// headLine reads a line of a response's head and adds its length to a.Size.
func headLine(in *bufio.Reader, a *Answer) (string, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", fmt.Errorf("head: %w", err)
	}
	if a.Size += len(line); a.Size > maxHead {
		return "", fmt.Errorf("the head is longer than %d bytes", maxHead)
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return "", fmt.Errorf("%q ends without CR LF", line)
	}
	return text, nil
}

// difference describes where two bodies differ.
func difference(want, got []byte) string {
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	near := func(b []byte) []byte { return b[max(0, min(i-20, len(b))):min(len(b), i+40)] }
	return fmt.Sprintf("of %d bytes instead of %d, which differ from byte %d on: %q instead of %q", len(got), len(want), i, near(got), near(want))
}
