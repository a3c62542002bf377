package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service/catalogue"
)

// plainRequests are requests that an event loop may answer or not.
var plainRequests = []string{
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nhost:x\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/8.5\r\nAccept: */*\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nAccept-Encoding:\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nAccept-Encoding: gzip\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\", \"b\"\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nX-Request-ID: a b\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\nX-Request-ID: b\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nCookie: a=b; c\r\nRange: bytes=0-1\r\nTe: trailers\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x y\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x:80:90\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: a:b\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: :80\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost:\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nAccept: */*\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost : x\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nno-colon\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.0\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\nHost: x\n\n",
	"GET /api/v1/toolsets/grafana/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets//grafana HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/graf%61na HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/../toolsets/grafana HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace=monitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace=monitoring HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace=monitoring HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace=none HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace= HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace=monitoring& HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace=monitoring&namespace=monitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?namespace=monitor%69ng HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?Namespace=monitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/shared?namespace=monitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana?x HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana? HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana#x HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/shared HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/none HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/generate HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
	"GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n",
	"GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /api/v1/toolsets? HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace=monitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace=monitoring HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
	"GET /api/v1/toolsets?namespace=monitoring HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n",
	"GET /api/v1/toolsets?namespace=none HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?type=grafana&healthy=false&enabled=true&verified=false HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?healthy=yes HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?healthy= HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace= HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace=a&namespace=a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace=a&& HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace=a=b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace=a?b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?namespace=%6donitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets?color=red HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/?namespace=monitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/services?namespace=monitoring HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET  /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\n\r\n",
	"get /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\n\r\n",
	"HEAD /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"\r\nGET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
	"\x16\x03\x01\x00\x05hello",
}

var varies = regexp.MustCompile(`(?m)^(Date|X-Request-Id): ([^\r\n]*)|"request_id":"[0-9a-f]{32}"`)

// comparable returns what a server sent, without what differs each time.
func comparable(response []byte) string {
	return varies.ReplaceAllStringFunc(string(response), func(line string) string {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return `"request_id"`
		}
		if name == "X-Request-Id" && len(value) != 32 {
			return line // the client's own
		}
		return name + fmt.Sprint(" of length ", len(value))
	})
}

// sendParts sends the parts, one after the other, and half-closes. It returns what the server
// sends.
func sendParts(t *testing.T, addr string, parts ...string) string {
	t.Helper()
	all, err := exchangeParts(addr, parts...)
	if err != nil {
		t.Errorf("%q: %v", parts, err)
	}
	return comparable(all)
}

func exchangeParts(addr string, parts ...string) ([]byte, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // the end of a test
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	for i, p := range parts {
		if i > 0 {
			time.Sleep(time.Millisecond) // so that they arrive apart, mostly
		}
		if _, err := io.WriteString(c, p); err != nil {
			break // the server has closed
		}
	}
	c.(*net.TCPConn).CloseWrite() //nolint:errcheck // as above
	var all bytes.Buffer
	if _, err := all.ReadFrom(c); err != nil && !isReset(err) {
		return nil, err
	}
	return all.Bytes(), nil
}

// withEventLoop reports whether the servers of a test have an event loop: unless it runs
// within TestWithoutTheEventLoop, or with TOOLSET_TEST_EVENT_LOOP=0.
func withEventLoop(t *testing.T) bool {
	return !strings.HasPrefix(t.Name(), "TestWithoutTheEventLoop/") && os.Getenv("TOOLSET_TEST_EVENT_LOOP") != "0"
}

// What holds with the event loop holds without it.
func TestWithoutTheEventLoop(t *testing.T) {
	for _, p := range append(promises(), promise{"HostileRequests", TestHostileRequests}) {
		t.Run(p.name, p.test)
	}
}

// The event loop and the server give the same answers, byte for byte: to each request
// alone, pipelined, and split at every byte.
func TestTheEventLoopAnswersAsTheServer(t *testing.T) {
	on := start(t, func(o *options) { o.ServedBy, o.EventLoop = "pod", true })
	off := start(t, func(o *options) { o.ServedBy, o.EventLoop, o.Catalogue = "pod", false, on.catalogue })
	wrong := 0
	same := func(parts ...string) {
		t.Helper()
		got, want := sendParts(t, on.server.Addr(), parts...), sendParts(t, off.server.Addr(), parts...)
		if got != want {
			if wrong++; wrong > 10 {
				t.Fatal("and so on")
			}
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			at = max(0, at-40)
			t.Errorf("%q: from byte %d on\nwith the event loop ...%.200q\nwithout ...%.200q", parts, at, got[at:], want[at:])
		}
	}
	good := plainRequests[0]
	for _, r := range plainRequests {
		same(r)
		same(good, r)
		same(r + good)
		same(good + r + good)
		same(good+r[:len(r)/2], r[len(r)/2:]+good)
	}
	for i := 1; i < len(good); i++ {
		same(good[:i], good[i:])
	}
	same(strings.Repeat(good, 500))
}

// A list that is sent from where it is has the bytes that the server sends, whatever comes
// before and behind it.
func TestTheEventLoopSendsListsAsTheServer(t *testing.T) {
	for toolsets, size := range map[int]int{100: 20 << 10, 340: 70 << 10, 5000: 1 << 20} {
		c := catalogue.New(identify, nil)
		var all []*corev1.Service
		for i := range toolsets {
			all = append(all, svc(fmt.Sprint("team-", i%10), fmt.Sprint("b", i), "custom"))
		}
		c.Replace(all)
		c.Build()
		on, off := fuzzedServer(t, c, true), fuzzedServer(t, c, false)
		const list, other = "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n", "GET /api/v1/toolsets/b7 HTTP/1.1\r\nHost: x\r\n\r\n"
		for _, r := range []string{
			list + "\r\n",
			list + "Accept-Encoding: gzip\r\n\r\n",
			list + "If-None-Match: *\r\n\r\n",
			list + "If-None-Match: \"x\"\r\nAccept-Encoding: gzip\r\n\r\n",
			list + "Connection: close\r\n\r\n",
			list + "Connection: close\r\n\r\n" + other,
			"HEAD" + list[len("GET"):] + "\r\n",
		} {
			for _, parts := range [][]string{{r}, {other + r + other}, {r + r + other}, {r, other + r}, {r[:40], r[40:] + other[:20], other[20:]}, {other + r + "no request\r\n\r\n"}} {
				if toolsets == 5000 && (len(parts) > 1 || parts[0] != list+"\r\n") {
					continue // the server sends it in either case
				}
				if len(parts) > 1 && strings.Contains(r, "close") {
					continue // what a client sends after that may cost it the response
				}
				got, want := sendParts(t, on.Addr(), parts...), sendParts(t, off.Addr(), parts...)
				if got != want {
					t.Errorf("%d toolsets, %q: %d bytes with the event loop, %d without, or others", toolsets, parts, len(got), len(want))
				}
				if r == list+"\r\n" && len(got) < size {
					t.Errorf("%d toolsets, %q: only %d bytes", toolsets, parts, len(got))
				}
			}
		}
	}
}

// The longest head that is accepted is the same for both.
func TestTheEventLoopKeepsTheLimitOfHeads(t *testing.T) {
	with := func(loop bool) *fixture {
		return start(t, func(o *options) { o.ServedBy, o.EventLoop, o.Limits.MaxHeaderBytes = "pod", loop, 1<<10 })
	}
	on, off := with(true), with(false)
	statuses := map[string]bool{}
	for _, size := range []int{1000, 1022, 1023, 1024, 1025, 1026, 2000} {
		head := "GET /api/v1/toolsets/grafana HTTP/1.1\r\nHost: x\r\nUser-Agent: "
		head += strings.Repeat("a", size-len(head)-len("\r\n\r\n")) + "\r\n\r\n"
		got, want := sendParts(t, on.server.Addr(), head), sendParts(t, off.server.Addr(), head)
		status, _, _ := strings.Cut(want, "\r\n")
		if statuses[status] = true; !strings.HasPrefix(got, status) {
			t.Errorf("a head of %d bytes: %.40q, without the event loop %.40q", size, got, want)
		}
	}
	if len(statuses) < 2 {
		t.Errorf("all heads had the same answer: %v", statuses)
	}
}

// untilThePage is comparable without the page for people and what follows it: it has times.
func untilThePage(response []byte) string {
	before, _, _ := strings.Cut(comparable(response), "text/html")
	return before
}

// Whatever is sent, the event loop and the server give the same answers.
func FuzzDirect(f *testing.F) {
	for _, r := range plainRequests {
		f.Add(r, uint16(len(r)/2))
		f.Add(plainRequests[0]+r, uint16(0))
	}
	c := fuzzedCatalogue()
	on, off := fuzzedServer(f, c, true), fuzzedServer(f, c, false)
	f.Fuzz(func(t *testing.T, sent string, split uint16) {
		if len(sent) > 8<<10 {
			return
		}
		parts := []string{sent}
		if at := int(split); at > 0 && at < len(sent) {
			parts = []string{sent[:at], sent[at:]}
		}
		var got, want []byte
		var errOn, errOff error
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, errOn = exchangeParts(on.Addr(), parts...)
		}()
		want, errOff = exchangeParts(off.Addr(), parts...)
		<-done
		if err := errors.Join(errOn, errOff); errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Skip(err) // out of ports
		} else if err != nil {
			t.Fatal(err)
		}
		if got, want := untilThePage(got), untilThePage(want); got != want {
			t.Errorf("%q:\nwith the event loop %q\nwithout %q", parts, got, want)
		}
	})
}
