package middleware

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

const usualHead = "GET /api/v1/toolsets/prometheus HTTP/1.1\r\nHost: dynamic-toolset.kubernaut-system:8080\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n" +
	"Accept: */*\r\nConnection: keep-alive\r\nX-Request-ID: 6f2c7a1e-0b7d-4f3e-9a43-0d1f3a5c7e9b\r\n\r\n"

func readHead(tb testing.TB, head string) *fasthttp.RequestHeader {
	tb.Helper()
	h := &fasthttp.RequestHeader{}
	if err := h.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
		tb.Fatal(err)
	}
	return h
}

// This check is made for every request, so it must not allocate.
func TestStrictnessAllocatesNothing(t *testing.T) {
	h := readHead(t, usualHead)
	if n := testing.AllocsPerRun(100, func() {
		if wrong, _ := malformed(h); wrong != "" {
			t.Fatal(wrong)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMalformed(b *testing.B) {
	h := readHead(b, usualHead)
	b.ReportAllocs()
	for b.Loop() {
		if wrong, _ := malformed(h); wrong != "" {
			b.Fatal(wrong)
		}
	}
}
