package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/shutdown"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.loop"))
}

// A stage is a Server, and makes components, that record in which order they are called.
type stage struct {
	mu      sync.Mutex
	called  []string
	drained error
	hold    chan struct{} // Drain waits until it is closed; nil: no wait
}

func (s *stage) call(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called = append(s.called, what)
}

func (s *stage) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.called)
}

func (s *stage) Flag()            { s.call("flag") }
func (s *stage) Open() (int, int) { return 3, 2 }
func (s *stage) Drain(timeout time.Duration) error {
	s.call(fmt.Sprintf("drain within %v", timeout))
	if s.hold != nil {
		<-s.hold
	}
	return s.drained
}

func (s *stage) component(name string, err error) shutdown.Component {
	return shutdown.Component{Name: name, Close: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			s.call(name + " without a bound")
		}
		s.call("close " + name)
		return err
	}}
}

// sequence returns a sequence for the server and components of s, and its log.
func sequence(s *stage, change func(*shutdown.Options)) (*shutdown.Sequence, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	o := shutdown.Options{Server: s, Log: zap.New(core), Components: []shutdown.Component{s.component("one", nil), s.component("two", nil)}}
	if change != nil {
		change(&o)
	}
	return shutdown.New(o), logs
}

func messages(logs *observer.ObservedLogs) (all []string) {
	for _, e := range logs.All() {
		all = append(all, e.Message)
	}
	return all
}

func wantEqual(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// The texts and their order are a contract: operators search for them.
var lines = []string{
	"Received shutdown signal",
	"Initiating DD-007 Kubernetes-aware graceful shutdown",
	"Shutdown flag set - readiness probe now returns 503",
	"Waiting for Kubernetes endpoint removal propagation",
	"Endpoint removal propagation complete",
	"Draining in-flight HTTP connections",
	"HTTP connections drained successfully",
	"Closing external resources (Kubernetes client)",
	"DD-007 Kubernetes-aware graceful shutdown complete",
}

func TestSequence(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		s := &stage{}
		seq, logs := sequence(s, nil)
		signals := make(chan os.Signal, 1)
		signals <- sig
		if code := seq.Wait(signals); code != shutdown.ExitOK {
			t.Errorf("%v: exit code %d", sig, code)
		}
		wantEqual(t, s.all(), []string{"flag", "drain within 30s", "close one", "close two"})
		wantEqual(t, messages(logs), lines)
	}
}

// During the delay, Flag is all that was called.
func TestPropagationDelay(t *testing.T) {
	s := &stage{}
	const delay = 300 * time.Millisecond
	seq, logs := sequence(s, func(o *shutdown.Options) { o.PropagationDelay, o.DrainTimeout = delay, 7*time.Second })
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- seq.Run(context.Background()) }()
	for logs.FilterMessage("Waiting for Kubernetes endpoint removal propagation").Len() == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := s.all(); time.Since(began) < delay && !slices.Equal(got, []string{"flag"}) {
		t.Errorf("in the delay: %q", got)
	}
	if err := <-done; err != nil || time.Since(began) < delay {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	wantEqual(t, s.all(), []string{"flag", "drain within 7s", "close one", "close two"})
}

// The sequence goes on after a drain that failed, and after a component that did not
// close. Only the drain changes the exit code.
func TestTrouble(t *testing.T) {
	s := &stage{drained: errors.New("cut 2 connections")}
	seq, logs := sequence(s, func(o *shutdown.Options) {
		o.Components = []shutdown.Component{s.component("one", errors.New("stuck")), s.component("two", nil)}
	})
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	if code := seq.Wait(signals); code != shutdown.ExitDrainFailed {
		t.Errorf("exit code %d", code)
	}
	if err := seq.Run(context.Background()); !errors.Is(err, shutdown.ErrDrainTimeout) || !errors.Is(err, s.drained) {
		t.Errorf("the error is %v", err)
	}
	wantEqual(t, s.all(), []string{"flag", "drain within 30s", "close one", "close two"})
	failed := logs.FilterMessage("An external resource did not close").All()
	if len(failed) != 1 || failed[0].ContextMap()["resource"] != "one" {
		t.Errorf("logged: %v", failed)
	}
	if logs.FilterMessage("HTTP connections drain timed out").Len() != 1 {
		t.Error("the timeout was not logged")
	}
}

// The sequence runs once, however often Run is called. The end of a context ends only the
// wait.
func TestRunsOnce(t *testing.T) {
	s := &stage{hold: make(chan struct{})}
	seq, _ := sequence(s, nil)
	results := make(chan error, 20)
	for range 20 {
		go func() { results <- seq.Run(context.Background()) }()
	}
	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	if err := seq.Run(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	close(s.hold)
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	wantEqual(t, s.all(), []string{"flag", "drain within 30s", "close one", "close two"})
}

// Further signals change nothing, except a second SIGINT, at whatever step it comes.
func TestFurtherSignals(t *testing.T) {
	for _, x := range []struct {
		signals []os.Signal
		code    int
	}{
		{[]os.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTERM}, shutdown.ExitOK},
		{[]os.Signal{syscall.SIGTERM, syscall.SIGINT}, shutdown.ExitOK},
		{[]os.Signal{syscall.SIGINT, syscall.SIGINT}, shutdown.ExitInterrupted},
		{[]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGINT}, shutdown.ExitInterrupted},
	} {
		s := &stage{hold: make(chan struct{})}
		seq, logs := sequence(s, nil)
		signals := make(chan os.Signal)
		code := make(chan int, 1)
		go func() { code <- seq.Wait(signals) }()
		for _, sig := range x.signals {
			signals <- sig
		}
		if x.code == shutdown.ExitOK {
			testenv.Eventually(t, testenv.Patience, "each further signal is told", func() bool {
				return logs.FilterMessage("Already shutting down; the sequence goes on").Len() == len(x.signals)-1
			})
			close(s.hold)
		}
		if got := <-code; got != x.code {
			t.Errorf("%v: exit code %d, want %d", x.signals, got, x.code)
		}
		if x.code != shutdown.ExitOK {
			if got := s.all(); slices.Contains(got, "close one") {
				t.Errorf("%v: the sequence went on: %q", x.signals, got)
			}
			close(s.hold)
			if err := seq.Run(context.Background()); err != nil { // else it would still run after the test
				t.Error(err)
			}
		}
	}
}

// A component that never closes is left behind; those after it are closed.
func TestComponentThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{}
		stuck := make(chan struct{})
		seq, logs := sequence(s, func(o *shutdown.Options) {
			o.Components = []shutdown.Component{
				{Name: "one", Close: func(context.Context) error { <-stuck; return nil }}, s.component("two", nil),
			}
		})
		if err := seq.Run(context.Background()); err != nil {
			t.Error(err)
		}
		wantEqual(t, s.all(), []string{"flag", "drain within 30s", "close two"})
		if failed := logs.FilterMessage("An external resource did not close").All(); len(failed) != 1 || failed[0].ContextMap()["resource"] != "one" {
			t.Errorf("logged: %v", failed)
		}
		close(stuck)
	})
}
