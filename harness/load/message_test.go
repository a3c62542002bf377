package load

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A server reads from the message what the configuration says.
func TestMessage(t *testing.T) {
	c := Config{Address: "10.0.0.1:80", Host: "toolset.example", Header: map[string]string{"x-a": "1", "x-b": "1"}}
	target := &Target{Method: "POST", Path: "/a?for={duration}", Body: "hello", Header: map[string]string{"X-B": "2"}}
	m := newMessage(&c, target, record.Slow)
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.appendTo(nil, m.path(3250*time.Millisecond), true))))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	if req.Method != "POST" || req.RequestURI != "/a?for=3.25s" || req.Host != "toolset.example" || string(body) != "hello" ||
		req.ContentLength != 5 || !req.Close || req.Header.Get("X-A") != "1" || len(req.Header["X-B"]) != 1 || req.Header.Get("X-B") != "2" {
		t.Errorf("%+v, body %q", req, body)
	}
	if text := string(m.appendTo(nil, "/", false)); strings.Contains(text, "Connection") {
		t.Error(text)
	}
	get := newMessage(&c, &Target{Method: "GET", Path: "/"}, record.Stream)
	if text := string(get.appendTo(nil, "/", false)); strings.Contains(text, "Content-Length") || !strings.Contains(text, "Accept: text/event-stream\r\n") {
		t.Error(text)
	}
	post := newMessage(&c, &Target{Method: "POST", Path: "/"}, record.New)
	if text := string(post.appendTo(nil, "/", false)); !strings.Contains(text, "Content-Length: 0\r\n") {
		t.Error(text)
	}
}

func TestWeights(t *testing.T) {
	c := Config{Targets: []Target{
		{Path: "/1", Weight: 1, Classes: []record.Class{record.New}}, {Path: "/3", Weight: 3, Classes: []record.Class{record.New}},
		{Path: "/other", Weight: 100, Classes: []record.Class{record.Slow}},
	}}
	ch := newChoice(&c, record.New)
	n := map[string]int{}
	for range 4000 {
		n[ch.next().Path]++
	}
	if n["/1"] < 800 || n["/1"] > 1200 || n["/1"]+n["/3"] != 4000 { // 7 standard deviations
		t.Error(n)
	}
}
