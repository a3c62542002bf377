package client

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Requests that are due while the server stalls count from their due time, although they are
// sent only later.
func TestAStallIsInTheQuantilesOfAllThatWereDue(t *testing.T) {
	const stall = 200 * time.Millisecond
	var mu sync.Mutex
	var n int
	_, addr := served(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		if n++; n == 300 {
			time.Sleep(stall)
		}
		mu.Unlock()
		_, _ = io.WriteString(w, body)
	})
	o := options(addr)
	o.Lead, o.Window, o.Spin = 0, time.Second, true
	l, err := Open(t.Context(), o, Schedule{Rate: 1000, Seed: 3, Grace: 5 * time.Second})
	if err != nil || l.Failed != 0 || l.Answered != l.Due || l.Due < 800 {
		t.Fatalf("%+v, %v", l, err)
	}
	// A fifth of the requests are due during the stall, and 4 can be under way.
	if l.P99 < stall*8/10 || l.Max < stall*9/10 || l.P50 > l.P99 {
		t.Errorf("%+v", l)
	}
}

func TestOverloadIsLatencyAndNotAnswered(t *testing.T) {
	_, addr := served(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		_, _ = io.WriteString(w, body)
	})
	o := options(addr) // 4 connections, so 200 answers a second at most
	l, err := Open(t.Context(), o, Schedule{Rate: 2000, Seed: 4, Grace: 50 * time.Millisecond})
	if err != nil || l.Failed != 0 || l.Due < 300 || l.Answered <= 0 || l.Answered > 60 {
		t.Fatalf("%+v, %v", l, err)
	}
	// Half of the requests were due in the first half of the window and still wait.
	if l.P50 < o.Window/2 || l.Max < o.Window {
		t.Errorf("%+v", l)
	}
	// The server is late and not the client: no connection was idle when they were due.
	if l.Late999 > l.Max/2 {
		t.Errorf("the client takes the blame: %+v", l)
	}
}

func TestAScheduleIsTheSameForAll(t *testing.T) {
	s := Schedule{Rate: 10_000, Seed: 5}
	a, err := s.times(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := s.times(time.Second)
	if fmt.Sprint(a) != fmt.Sprint(b) || len(a) < 9_500 || len(a) > 10_500 {
		t.Errorf("%d and %d requests", len(a), len(b))
	}
	// The gaps are exponentially distributed: a share of 1/e is longer than the mean.
	longer := 0
	for i := 1; i < len(a); i++ {
		if a[i] < a[i-1] {
			t.Fatal("not in order")
		}
		if a[i]-a[i-1] > 100*time.Microsecond {
			longer++
		}
	}
	if share := float64(longer) / float64(len(a)); share < 0.34 || share > 0.40 {
		t.Errorf("%.3f of the gaps are longer than the mean", share)
	}
	for _, bad := range []float64{0, -1, 1e9} {
		if _, err := (&Schedule{Rate: bad}).times(time.Second); err == nil {
			t.Errorf("rate %v: no error", bad)
		}
	}
}

// It is no failure if the server closes an idle connection. The connection is replaced.
func TestIdleConnectionsMayBeClosed(t *testing.T) {
	addr := scripted(t, func(conn net.Conn, r *bufio.Reader) {
		if request(r) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n"+body)
		}
	})
	o := options(addr)
	o.Lead = 0
	l, err := Open(t.Context(), o, Schedule{Rate: 100, Seed: 6, Grace: time.Second})
	// On a busy machine the client may send a request before it notices the close.
	if err != nil || l.Reconnects == 0 || l.Answered < l.Due/2 || l.Failed > 0 && !strings.Contains(l.Failure, "clos") && !strings.Contains(l.Failure, "reset") {
		t.Errorf("%+v, %v", l, err)
	}
}
