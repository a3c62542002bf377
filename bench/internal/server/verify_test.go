package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// Each kind of difference is found and described.
func TestCompareFindsEachDifference(t *testing.T) {
	ours := Answer{Status: 200, Size: 1000, Body: []byte(`{"a":1,"b":2}`), Header: [][2]string{
		{"Server", "dynamic-toolset"}, {"Date", "Wed, 25 Nov 2026 17:07:12 GMT"}, {"X-Request-Id", "0123"}, {"Etag", `"1"`}, {"Vary", "Accept-Encoding"},
	}}
	field := func(name, value string) func(*Answer) {
		return func(a *Answer) {
			for i := range a.Header {
				if a.Header[i][0] == name {
					a.Header[i][1] = value
				}
			}
		}
	}
	for _, c := range []struct {
		what, name string
		change     func(*Answer)
		want       string // nothing where that is no difference
	}{
		{"nothing", FastHTTP, func(*Answer) {}, ""},
		{"status", FastHTTP, func(a *Answer) { a.Status = 404 }, "status 404 instead of 200"},
		{"body", FastHTTP, func(a *Answer) { a.Body = []byte(`{"a":1,"b":3}`) }, `from byte 11 on: "{\"a\":1,\"b\":3}" instead of`},
		{"shorter body", FastHTTP, func(a *Answer) { a.Body = a.Body[:5] }, "body of 5 bytes instead of 13, which differ from byte 5 on"},
		{"members in another order", FastHTTP, func(a *Answer) { a.Body = []byte(`{"b":2,"a":1}`) }, "body of 13 bytes"},
		{"members in another order, naive", Naive, func(a *Answer) { a.Body = []byte(`{"b":2,"a":1}`) }, ""},
		{"other members, naive", Naive, func(a *Answer) { a.Body = []byte(`{"b":2,"a":3}`) }, "body of 13 bytes"},
		{"another length, naive", Naive, func(a *Answer) { a.Body = []byte(`{"b":2, "a":1}`) }, "body of 14 bytes"},
		{"no field", FastHTTP, func(a *Answer) { a.Header = a.Header[:4] }, "header fields date, etag, server, x-request-id instead of date, etag, server, vary, x-request-id"},
		{"one field more", FastHTTP, func(a *Answer) { a.Header = append(a.Header, [2]string{"Connection", "keep-alive"}) }, "header fields connection, "},
		{"one field more, nginx", Nginx, func(a *Answer) { a.Header = append(a.Header, [2]string{"Connection", "keep-alive"}) }, ""},
		{"another field more, nginx", Nginx, func(a *Answer) { a.Header = append(a.Header, [2]string{"Accept-Ranges", "bytes"}) }, "header fields accept-ranges, "},
		{"case of a name", Nginx, func(a *Answer) { a.Header[3][0] = "ETag" }, ""},
		{"value", FastHTTP, field("Vary", "Cookie"), `header field vary is "Cookie" instead of "Accept-Encoding"`},
		{"tag", FastHTTP, field("Etag", `"2"`), "header field etag"},
		{"tag, nginx", Nginx, field("Etag", `"2"`), ""},
		{"tag, naive", Naive, field("Etag", `"2"`), ""},
		{"no tag, nginx", Nginx, field("Etag", ""), "header field etag"},
		{"time", FastHTTP, field("Date", "Wed, 25 Nov 2026 17:07:13 GMT"), ""},
		{"length of the time", FastHTTP, field("Date", "now"), "header field date"},
		{"request", FastHTTP, field("X-Request-Id", "abcd"), ""},
		{"length of the request", FastHTTP, field("X-Request-Id", "abcde"), "header field x-request-id"},
		{"server", Nginx, field("Server", "nginx"), ""},
		{"5 % more", Nginx, func(a *Answer) { a.Size = 1050 }, ""},
		{"more than that", Nginx, func(a *Answer) { a.Size = 1051 }, "response of 1051 bytes instead of 1000, +5.1 %"},
		{"less", FastHTTP, func(a *Answer) { a.Size = 949 }, "response of 949 bytes instead of 1000, -5.1 %"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got := ours
			got.Header = slices.Clone(ours.Header)
			c.change(&got)
			found := compare(c.name, &ours, &got)
			if c.want == "" {
				if len(found) > 0 {
					t.Error(found)
				}
				return
			}
			if len(found) != 1 || !strings.Contains(found[0].Error(), c.want) {
				t.Errorf("%v, wanted %q alone", found, c.want)
			}
		})
	}
}

// Verify names the server and the one workload that it answers differently.
func TestVerifyNamesServerAndWorkload(t *testing.T) {
	want := fetchOurs(t)
	other := Set{}
	for w, a := range want {
		if w == List4K {
			a.Body = bytes.ToUpper(a.Body)
		}
		other[w] = a
	}
	s := start(t, NetHTTP, Options{CPU: AnyCPU, Answers: other})
	_, err := Verify(t.Context(), NetHTTP, s.Addr(), want)
	if err == nil || !strings.HasPrefix(err.Error(), "net/http answers list-4k otherwise than ours: body of ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if _, err := Verify(t.Context(), NetHTTP, s.Addr(), Set{}); err == nil {
		t.Error("compared with nothing")
	}
}

// Fetch refuses answers that can't be measured, and says why.
func TestFetchRefuses(t *testing.T) {
	var n atomic.Int64
	for _, c := range []struct {
		what    string
		handler http.HandlerFunc
		want    string
	}{
		{"chunks", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, "Transfer-Encoding"},
		{"other bodies", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, "%06d", n.Add(1)) }, "the answer changes: body of 6 bytes"},
		{"other bodies when it closes", func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Close) }, "with Connection: close the answer is another one"},
		{"other statuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200 + int(n.Add(1)%2)) }, "the answer changes: status 20"},
		{"no entity tag", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "has no ETag"},
		{"closes", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Etag", `"1"`)
		}, "17 requests on one connection: "},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := httptest.NewServer(c.handler)
			defer s.Close()
			if _, err := Fetch(t.Context(), s.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, wanted %q", err, c.want)
			}
		})
	}
}

// The caller's fields are sent with each request and are part of the returned requests.
func TestFetchSendsFields(t *testing.T) {
	var asked, without atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer x" || r.Host != host {
			without.Add(1)
		}
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
		}
	}))
	defer s.Close()
	set, err := Fetch(t.Context(), s.Listener.Addr().String(), [2]string{"Authorization", "Bearer x"})
	if err != nil {
		t.Fatal(err)
	}
	if asked.Load() < 4*18 || without.Load() != 0 {
		t.Errorf("%d of %d requests were without", without.Load(), asked.Load())
	}
	for w, a := range set {
		for i, b := range [][]byte{a.Request, a.Close} {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
			if err != nil {
				t.Fatal(err)
			}
			if r.URL.RequestURI() != a.Path || r.Header.Get("Authorization") != "Bearer x" || r.Close != (i == 1) || (r.Header.Get("If-None-Match") != "") != (w == NotModified) {
				t.Errorf("%s: %q", w, b)
			}
		}
	}
}

// Fetch does not wait for a server without an answer after the context has ended.
func TestFetchEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Read(make([]byte, 1))
			cancel()
			_, _ = io.Copy(io.Discard, c) // until the other side gives up
			_ = c.Close()
		}
	}()
	if _, err := Fetch(ctx, l.Addr().String()); err == nil {
		t.Error("there was an answer")
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"1\"\r\n\r\nabcHTTP/1.1 304 Not Modified\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: -1\r\n\r\n", "HTTP/1.1 x\r\n\r\n", "",
		"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReaderSize(bytes.NewReader(b), maxHead)
		a, err := readAnswer(in)
		if err != nil {
			return
		}
		rest, err := io.ReadAll(in)
		if err != nil || a.Size+len(rest) != len(b) {
			t.Fatalf("%d bytes, of %d are %d left: %v", a.Size, len(b), len(rest), err)
		}
		if !bytes.HasSuffix(b[:a.Size], a.Body) || a.Status != 304 && a.field("Content-Length") == "" {
			t.Fatalf("%q is %+v", b, a)
		}
		// If the standard library accepts the answer, it reads the same.
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			return
		}
		body, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode == a.Status && (a.Status < 200 || a.Status == 204) {
			return // they have no body, whatever they say; none of the servers answers so
		}
		if err != nil || res.StatusCode != a.Status || !bytes.Equal(body, a.Body) {
			t.Fatalf("%q is %d %q to the standard library (%v), not %d %q", b, res.StatusCode, body, err, a.Status, a.Body)
		}
	})
}
