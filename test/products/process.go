package products

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// stopTimeout is how long a process may take to end after SIGTERM.
const stopTimeout = 10 * time.Second

// A process is one that runs until it is stopped or this process ends.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // of Wait; read it only after done is closed
}

// start starts a program with its output in a file of dir.
func start(dir, program string, args, env []string) (*process, error) {
	p := &process{log: filepath.Join(dir, filepath.Base(program)+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the program has its own descriptor
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), append([]string{"HOME=" + dir, "TMPDIR=" + dir}, env...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// It ends with this process, also if that is killed. The kernel looks at the thread that
	// started it, so that thread must live as long.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return p, nil
}

// stop ends the process and those that it has started.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // also its children, if it has ended
	<-p.done
}

// wait waits until ok returns nil. It gives up when ctx or the process ends.
func (p *process) wait(ctx context.Context, ok func(context.Context) error) error {
	last := errNoAnswer
	for {
		if err := ok(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-p.done:
			return fmt.Errorf("it has ended (%v); the end of its log:\n%s", p.err, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("%w: %w; the end of its log:\n%s", context.Cause(ctx), last, tail(p.log))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func tail(log string) string {
	b, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return string(b)
}

var errNotHere = errors.New("the product is not installed here")
