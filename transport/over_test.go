package transport_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Every connection over the limit gets its 503, however many come at once; none is reset.
// That includes clients that send nothing. One that waits until there is room is served.
func TestEachOverTheConnectionLimitIsTold(t *testing.T) {
	for _, n := range []int{150, 2000} {
		if overTLS(t) && n > 150 {
			n = 300 // a handshake takes two processors a millisecond or more
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) { testOverTheLimit(t, n) })
	}
}

func testOverTheLimit(t *testing.T, n int) {
	f := start(t, func(o *options) { o.Limits.MaxConnections = 1 })
	within := f.dial()
	within.write(getReady)
	within.read()
	var clients sync.WaitGroup
	var told, excused atomic.Int32
	begin := make(chan struct{})
	watch := testenv.Start()
	for i := range n {
		clients.Go(func() {
			<-begin
			silent := i%10 == 1 && f.tls == nil
			dialled := time.Now()
			// The server waits for a second. A client that takes longer to ask may be treated as
			// one that sends nothing, or be cut off in its handshake.
			late := func() bool { return time.Since(dialled) > time.Second }
			wrong := func(format string, args ...any) {
				if late() && !silent {
					excused.Add(1)
					t.Logf("late, after %s: "+format, append([]any{time.Since(dialled)}, args...)...)
					return
				}
				t.Errorf(format, args...)
			}
			tcp, err := net.DialTimeout("tcp", f.server.Addr(), time.Minute)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			defer tcp.Close()                            //nolint:errcheck // it was read to its end
			tcp.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the read tells
			c := &rawClient{t: t, Conn: tcp}
			if f.tls != nil {
				c.Conn = tls.Client(tcp, f.tls)
			}
			id := fmt.Sprintf("over-%d", i)
			method := "GET"
			if i%3 == 0 {
				method = "HEAD"
			}
			if !silent {
				if _, err := io.WriteString(c.Conn, method+" /some/path HTTP/1.1\r\nHost: x\r\nX-Request-ID: "+id+"\r\n\r\n"); err != nil {
					wrong("client %d: %v", i, err)
					return
				}
			}
			asked := late()
			got, _, err := c.readAnswers(nil, -1, method == "HEAD" && !silent)
			if asked && len(got) > 0 && got[0].status == 503 {
				told.Add(1)
				return
			}
			if err != nil || len(got) != 1 || got[0].status != 503 || got[0].check() != nil || !got[0].closes() || got[0].field("retry-after") == "" || !silent && got[0].id() != id {
				wrong("client %d: %v, %v", i, got, err)
				return
			}
			told.Add(1)
		})
	}
	close(begin)
	clients.Wait()
	if got := told.Load() + excused.Load(); int(got) != n {
		t.Errorf("%d of %d were told", got, n)
	}
	if excused.Load() > 0 {
		watch.Within(t, time.Second, fmt.Sprintf("%d of %d clients over the limit were cut off", excused.Load(), n))
	}
	within.write(getList)
	if r := within.read(); r.StatusCode != 200 {
		t.Error(r)
	}
}
