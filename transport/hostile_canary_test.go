package transport_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Nothing that one client sends reaches another. Each of many clients marks everything
// that it sends, and looks for the marks of others in everything that it receives, while
// others send malformed requests and leave in the middle of answers. Buffers are used
// again, so a mistake in their handling would show here.
func TestNothingOfOtherClients(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxHeaderBytes, o.Limits.MaxRequestBody = 4096, 4096 })
	var many []*corev1.Service
	for i := range 300 {
		many = append(many, svc(fmt.Sprintf("team-%d", i%7), fmt.Sprintf("backend-%04d", i), "custom"))
	}
	f.catalogue.Replace(many)
	f.catalogue.Build()
	want := f.do("GET", "/api/v1/toolsets", "").body

	var regular, noise sync.WaitGroup
	done := make(chan struct{})
	cases := hostiles()
	for i := range 2 {
		noise.Go(func() {
			for n := i; ; n += 5 {
				select {
				case <-done:
					return
				default:
				}
				c, err := net.Dial("tcp", f.server.Addr())
				if err != nil {
					t.Error(err)
					return
				}
				if n%3 == 0 { // leaves while a large answer is written
					io.WriteString(c, strings.Repeat(getList, 10)) //nolint:errcheck // the answer does not matter
					io.CopyN(io.Discard, c, 10000)                 //nolint:errcheck
				} else {
					io.WriteString(c, strings.ReplaceAll(cases[n%len(cases)].send, "canary-", "foreign-")) //nolint:errcheck
				}
				c.Close() //nolint:errcheck
			}
		})
	}
	for i := range 8 {
		regular.Go(func() {
			c := f.dial()
			c.SetDeadline(time.Now().Add(12 * patience)) //nolint:errcheck // the read tells
			var pending []byte
			for n := range 25 {
				mark := fmt.Sprintf("canary-%d-%d-", i, n)
				requests := []string{
					get("/api/v1/toolsets/"+mark+"name", "X-Request-ID: "+mark+"0\r\n"),
					get("/api/v1/toolsets", "X-Request-ID: "+mark+"1\r\n"),
					get("/"+mark+"path", "X-Request-ID: "+mark+"2\r\n"),
					get("/api/v1/toolsets", "Accept-Encoding: gzip\r\nX-Request-ID: "+mark+"3\r\n"),
					get("/api/v1/toolsets?"+mark+"key=1", "X-Request-ID: "+mark+"4\r\n"),
					fmt.Sprintf("POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nX-Request-ID: %s5\r\nContent-Type: %stype\r\nContent-Length: 2\r\n\r\n{}", mark, mark),
					fmt.Sprintf("%sMETHOD /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: %s6\r\n\r\n", mark, mark),
				}
				statuses := []int{404, 200, 404, 200, 400, 415, 405}
				c.write(strings.Join(requests, ""))
				var got []*answer
				var err error
				got, pending, err = c.readAnswers(pending, len(requests), false)
				if err != nil {
					t.Errorf("client %d, round %d: %v: %v", i, n, err, got)
					return
				}
				for k, a := range got {
					body := a.body
					if a.field("content-encoding") == "gzip" {
						zr, err := gzip.NewReader(bytes.NewReader(body))
						if err != nil {
							t.Errorf("client %d, round %d: %v", i, n, err)
							return
						}
						if body, err = io.ReadAll(zr); err != nil {
							t.Errorf("client %d, round %d: %v", i, n, err)
							return
						}
					}
					own := strings.ReplaceAll(string(body)+a.String(), mark, "")
					switch {
					case a.check() != nil || a.status != statuses[k] || a.id() != fmt.Sprintf("%s%d", mark, k):
						t.Errorf("client %d, round %d, response %d: %v: %s", i, n, k, a.check(), a)
					case a.status == 200 && !bytes.Equal(body, want):
						t.Errorf("client %d, round %d, response %d: not the list: %.200q", i, n, k, body)
					case a.status != 200 && !strings.Contains(string(body), mark):
						t.Errorf("client %d, round %d, response %d: its mark is missing: %s", i, n, k, a)
					case strings.Contains(own, "canary-"), strings.Contains(own, "foreign-"):
						t.Errorf("client %d, round %d, response %d: the mark of another: %s", i, n, k, a)
					}
				}
				if t.Failed() {
					return
				}
			}
		})
	}
	regular.Wait()
	close(done)
	noise.Wait()
}
