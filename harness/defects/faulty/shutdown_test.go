package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Clients connect without pause until the listener is gone. None that was accepted may
// be reset, unless the defect is to reset the queue.
func TestAcceptQueueUnderPressure(t *testing.T) {
	t.Parallel()
	p := launch(t, "--propagation-delay=100ms")
	var answered, lost atomic.Int64
	var example sync.Map
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for {
				// A client whose SYN is ignored would be refused a second later.
				c, err := dialWithin(p.addr, 300*time.Millisecond)
				if err != nil {
					return
				}
				if _, err := c.get("/"); err != nil {
					lost.Add(1)
					example.Store("error", err)
				} else {
					answered.Add(1)
				}
				c.Close() //nolint:errcheck // it was used
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	p.signal(syscall.SIGTERM)
	p.exits(0)
	wg.Wait()
	err, _ := example.Load("error")
	t.Logf("%d requests answered, %d lost", answered.Load(), lost.Load())
	if lost.Load() > 0 || answered.Load() == 0 {
		t.Errorf("%d of %d requests were lost, the last: %v", lost.Load(), answered.Load()+lost.Load(), err)
	}
}

// Connections that were never told to close, used or not, end without a word after a
// long silence, for which the drain waits.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	p := launch(t, "--propagation-delay=100ms")
	used, unused := mustDial(t, p.addr), mustDial(t, p.addr)
	used.mustGet(t, "/", 200)
	begin := time.Now()
	p.signal(syscall.SIGTERM)
	for _, c := range []*client{used, unused} {
		if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
			t.Errorf("the connection ended with %q, %v", rest, err)
		}
		if d := time.Since(begin); d < longSilence {
			t.Errorf("it was closed %s after SIGTERM", d)
		}
	}
	p.exits(0)
}

// A request that begins just before its connection would count as silent is answered.
func TestSilenceBroken(t *testing.T) {
	t.Parallel()
	p := launch(t, "--propagation-delay=100ms")
	c := mustDial(t, p.addr)
	if err := c.send("GET / HT"); err != nil { // the connection is no longer silent
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	if _, err := p.exit(longSilence + 500*time.Millisecond); !errors.Is(err, errStillRunning) {
		t.Fatal("the server did not wait for the request that had begun")
	}
	if err := c.send("TP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if r, err := c.receive(); err != nil || r.StatusCode != 200 || !r.Close {
		t.Error(r, err)
	}
	p.exits(0)
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	p := launch(t, "--propagation-delay=0", "--drain-timeout=500ms")
	c := mustDial(t, p.addr)
	if err := c.send(get("/slow?for=5m")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.r.Peek(100); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	if _, err := c.receive(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the response in flight: %v", err)
	}
	p.exits(1)
	i := slices.Index(p.messages(), "HTTP connections drain timed out")
	if i < 0 || p.log()[i]["error"] != "cut 1 connections with 1 requests in flight" {
		t.Error("the log does not say what was cut")
	}
}

func TestSecondSignals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		signals []syscall.Signal
		code    int
	}{
		{[]syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGINT}, 0},
		{[]syscall.Signal{syscall.SIGINT, syscall.SIGINT}, exitInterrupted},
		{[]syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGINT}, exitInterrupted},
	} {
		p := launch(t, "--propagation-delay="+delay.String())
		for i, sig := range test.signals {
			p.signal(sig)
			// One at a time, since the kernel merges equal signals.
			if !p.logged([]string{ddLines[3], "Already shutting down; the sequence goes on"}[min(i, 1)], patience) && i == 0 {
				t.Fatal("the signal did nothing")
			}
		}
		p.exits(test.code)
		if test.code == 0 && !p.has(ddLines[8]) {
			t.Error("the sequence did not end")
		}
	}
}

func TestCrashAfter(t *testing.T) {
	t.Parallel()
	p := launch(t, "--crash-after=200ms")
	p.exits(exitCrashed)
	if m := p.messages(); !strings.Contains(m[len(m)-1], "--crash-after") {
		t.Errorf("the last line is %q", m[len(m)-1])
	}
}

func TestNeverReady(t *testing.T) {
	t.Parallel()
	p := launch(t, "--never-ready", "--defect=readiness-stays-200", "--propagation-delay=100ms")
	c := mustDial(t, p.addr)
	if err := isProblem(c.mustGet(t, "/health/ready", 503)); err != nil {
		t.Error(err)
	}
	c.mustGet(t, "/health/live", 200)
	c.mustGet(t, "/", 200)
	p.signal(syscall.SIGTERM)
	p.logged(ddLines[2], patience)
	c.mustGet(t, "/health/ready", 503)
	p.exits(0)
}
