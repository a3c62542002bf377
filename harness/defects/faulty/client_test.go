package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
)

// A client is one connection. It never sends a request again, and does not check before
// it sends whether the connection was closed.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*client, error) { return dialWithin(addr, patience) }

func dialWithin(addr string, timeout time.Duration) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReader(c)}, nil
}

func mustDial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // the test is over
	return c
}

// A response is a complete response.
type response struct {
	*http.Response
	body string
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

// send writes text, which may be less or more than a request.
func (c *client) send(text string) error {
	_, err := io.WriteString(c, text)
	return err
}

// receive reads a response to GET.
func (c *client) receive() (*response, error) { return c.receiveTo(http.MethodGet) }

func (c *client) receiveTo(method string) (*response, error) {
	r, err := http.ReadResponse(c.r, httptest.NewRequest(method, "/", nil))
	if err != nil {
		return nil, fmt.Errorf("before the response: %w", err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("in the response: %w", err)
	}
	if r.Header.Get("X-Served-By") != "pod-1" && r.StatusCode >= 200 {
		return nil, fmt.Errorf("X-Served-By is %q", r.Header["X-Served-By"])
	}
	return &response{r, string(b)}, nil
}

// get sends a request and reads the response.
func (c *client) get(path string) (*response, error) {
	if err := c.send(get(path)); err != nil {
		return nil, fmt.Errorf("sending: %w", err)
	}
	return c.receive()
}

func (c *client) mustGet(t *testing.T, path string, status int) *response {
	t.Helper()
	r, err := c.get(path)
	if err != nil || r.StatusCode != status {
		t.Fatalf("GET %s: %v, %v; want status %d", path, r, err, status)
	}
	return r
}

// isProblem returns an error if a response is not a problem document of its status.
func isProblem(r *response) error {
	return problemdoc.Check(r.Header.Get("Content-Type"), []byte(r.body), r.StatusCode)
}
