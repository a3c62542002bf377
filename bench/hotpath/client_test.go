package hotpath

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A client sends one kind of lookup on one connection. It does not allocate.
type client struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	depth   int
}

// newClient returns a connected client. Its connection is closed when the test ends.
func newClient(tb testing.TB, dial dialer, l lookup, withToken bool) *client {
	tb.Helper()
	conn, err := dial()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() }) //nolint:errcheck // the end of a test
	return &client{conn, bufio.NewReaderSize(conn, 64<<10), l.request(withToken), l.depth}
}

// exchange sends c.depth requests at once and reads their answers.
func (c *client) exchange() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	for range c.depth {
		if err := c.read(); err != nil {
			return err
		}
	}
	return nil
}

var contentLength = []byte("Content-Length: ")

// read reads one answer, which must be a 200 with a Content-Length, or a 304.
func (c *client) read() error {
	length := -1
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && string(line[9:12]) == "304":
			length = 0
		case first && string(line[9:12]) != "200":
			return fmt.Errorf("answered %q", line)
		case len(line) == 2 && length < 0:
			return fmt.Errorf("an answer has no length")
		case len(line) == 2:
			_, err := c.reader.Discard(length)
			return err
		case bytes.HasPrefix(line, contentLength):
			length = 0
			for _, b := range line[len(contentLength) : len(line)-2] {
				length = 10*length + int(b-'0')
			}
		}
	}
}

// fetch sends a single request of a lookup and returns the answer and its body.
func fetch(tb testing.TB, dial dialer, l lookup, withToken bool) (*http.Response, []byte) {
	tb.Helper()
	conn, err := dial()
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it was only read
	l.depth = 1
	if _, err := conn.Write(l.request(withToken)); err != nil {
		tb.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if want := map[bool]int{true: 304, false: 200}[strings.HasPrefix(l.field, "If-None-Match")]; r.StatusCode != want {
		tb.Fatalf("%s: %s %s", l.name, r.Status, body)
	}
	return r, body
}
