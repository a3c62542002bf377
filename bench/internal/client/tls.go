package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ClosedTLS measures a closed loop over TLS. Each connection has a goroutine, and the client
// needs as much time for a request as a server does, so the answers per second say less than
// the server's CPU time. The server's certificate is not checked. Requests are neither
// pipelined nor on new connections.
func ClosedTLS(ctx context.Context, o Options) (Result, error) {
	if _, err := o.check(); err != nil {
		return Result{}, err
	}
	l := tlsLoop{o: &o}
	ctx, cancel := context.WithTimeout(ctx, o.Lead+o.Window+o.patience())
	defer cancel()
	for range o.Connections {
		l.running.Go(func() {
			if err := l.ask(ctx); err != nil {
				l.fail(err)
			}
		})
	}
	defer l.running.Wait()
	defer l.over.Store(true)
	if !sleep(ctx, o.Lead) {
		return Result{}, context.Cause(ctx)
	}
	used, err := o.used()
	if err != nil {
		return Result{}, err
	}
	began, before := time.Now(), l.answers.Load()
	if !sleep(ctx, o.Window) {
		return Result{}, context.Cause(ctx)
	}
	answered, took := l.answers.Load()-before, time.Since(began)
	after, err := o.used()
	if err != nil {
		return Result{}, err
	}
	l.over.Store(true)
	l.running.Wait()
	return Result{Requests: int(answered) + l.failed, Failed: l.failed, Failure: l.failure, Seconds: took.Seconds(), CPU: after - used}, nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// A tlsLoop is a measurement of ClosedTLS.
type tlsLoop struct {
	o       *Options
	running sync.WaitGroup
	over    atomic.Bool
	answers atomic.Int64

	mu      sync.Mutex
	failed  int
	failure string
}

func (l *tlsLoop) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed++; l.failed == 1 {
		l.failure = err.Error()
	}
}

// ask sends requests on one connection until the time is over.
func (l *tlsLoop) ask(ctx context.Context) error {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // #nosec G402 -- a server that this program has started
	c, err := dialer.DialContext(ctx, "tcp", l.o.Addr)
	if err != nil {
		return err
	}
	defer c.Close()                                          //nolint:errcheck // all that is needed has been read
	defer context.AfterFunc(ctx, func() { _ = c.Close() })() // so that nothing hangs
	p := parser{want: &l.o.Exchange}
	buf := make([]byte, 64<<10)
	for !l.over.Load() {
		if _, err := c.Write(l.o.Exchange.Request); err != nil {
			return err
		}
		for answered := 0; answered == 0; {
			n, err := c.Read(buf)
			if err != nil {
				return fmt.Errorf("no answer: %w", err)
			}
			if answered, err = p.feed(buf[:n]); err != nil {
				return err
			}
		}
		l.answers.Add(1)
	}
	return nil
}
