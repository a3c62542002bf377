package transport

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// served starts a server and returns a connection to it with a reader.
func served(t *testing.T, change ...func(*Options)) (net.Conn, *bufio.Reader) {
	t.Helper()
	s := lookupServer(t, append(change, func(o *Options) { o.Listen, o.MetricsListen = "127.0.0.1:0", "127.0.0.1:0" })...)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown(context.Background()) }) //nolint:errcheck // the end of a test
	client, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })            //nolint:errcheck // as above
	client.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the reads tell
	return client, bufio.NewReader(client)
}

const (
	askOne  = "GET /api/v1/toolsets/p7 HTTP/1.1\r\nHost: x\r\n\r\n"
	askAll  = "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n\r\n"
	askSome = "GET /api/v1/toolsets?limit=30 HTTP/1.1\r\nHost: x\r\n\r\n"
	askRest = "GET /api/v1/toolsets?limit=31 HTTP/1.1\r\nHost: x\r\n\r\n" // longer than the others, with the same beginning
)

func wantBody(t *testing.T, r *bufio.Reader, want []byte) []byte {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || want != nil && !bytes.Equal(body, want) {
		t.Fatalf("%s, %v: %d bytes, want %d: %.200q", res.Status, err, len(body), len(want), body)
	}
	return body
}

// However responses are held back, they come complete and in order.
func TestResponsesInTheirOrder(t *testing.T) {
	client, r := served(t)
	answers := map[string][]byte{}
	for _, ask := range []string{askOne, askAll, askSome, askRest} {
		io.WriteString(client, ask) //nolint:errcheck // the read tells
		answers[ask] = wantBody(t, r, nil)
	}
	for _, order := range [][]string{
		{askOne, askOne}, {askAll, askOne, askAll, askSome}, {askSome, askAll, askSome, askOne, askOne},
		{askSome, askRest, askSome, askRest}, slices.Repeat([]string{askOne}, 100), {askAll, askAll, askAll, askAll, askAll, askAll, askAll, askAll}, // more than a batch holds
	} {
		for _, whole := range []bool{true, false} {
			text := strings.Join(order, "")
			if whole {
				io.WriteString(client, text) //nolint:errcheck // the read tells
			} else {
				io.WriteString(client, text[:len(text)-20]) //nolint:errcheck // as above
			}
			for i, ask := range order {
				if !whole && i == len(order)-1 {
					io.WriteString(client, text[len(text)-20:]) //nolint:errcheck // as above
				}
				wantBody(t, r, answers[ask])
			}
		}
	}
}

// An event stream behind other requests begins when those have been answered, and its
// events are not held back.
func TestStreamBehindOthers(t *testing.T) {
	client, r := served(t)
	io.WriteString(client, askOne+askAll+"GET /api/v1/toolsets/watch HTTP/1.1\r\nHost: x\r\n\r\n"+askOne) //nolint:errcheck // the read tells
	wantBody(t, r, nil)
	wantBody(t, r, nil)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "event: snapshot\n" {
		t.Errorf("%q, %v", line, err)
	}
}
