package cri

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (n *node) exec(id string, timeout int64, cmd ...string) (*runtime.ExecSyncResponse, error) {
	return n.runtime.ExecSync(n.ctx(), &runtime.ExecSyncRequest{ContainerId: id, Cmd: cmd, Timeout: timeout})
}

func TestExecRunsInsideTheContainer(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"serve", "80"}, func(c *runtime.ContainerConfig) {
		c.WorkingDir = "/work"
		c.Envs = []*runtime.KeyValue{{Key: "WORD", Value: []byte("value")}, {Key: "PATH", Value: []byte("/")}}
	})
	n.says(id, "ready")
	r, err := n.exec(id, 30, "app", "report")
	must(t, err)
	got := parseSelf(t, string(r.Stdout))
	if got.Host != "pod-host" || got.Dir != "/work" || got.PID == 1 || got.PID > 100 || !strings.Contains(strings.Join(got.Env, " "), "WORD=value") {
		t.Errorf("the command is %+v", got)
	}
	// It has the container's network, files and processes.
	for _, c := range []struct {
		cmd  []string
		want string
	}{
		{[]string{"/app", "dial", "127.0.0.1:80"}, "answer hello\n"},
		{[]string{"/app", "files", "/root"}, "/root\n"},
		{[]string{"/app", "read", "/proc/1/cmdline"}, "/app\x00serve\x0080\x00"},
	} {
		if r, err := n.exec(id, 30, c.cmd...); err != nil || string(r.Stdout) != c.want {
			t.Errorf("%v: %q, %v, want %q", c.cmd, r.GetStdout(), err, c.want)
		}
	}
}

func TestExecExitCodeAndOutputs(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	r, err := n.exec(id, 30, "/app", "exit", "3")
	must(t, err)
	if r.ExitCode != 3 {
		t.Errorf("the exit code is %d", r.ExitCode)
	}
	r, err = n.exec(id, 0, "/app", "lines", "2")
	must(t, err)
	if string(r.Stdout) != "out 0\nout 1\n" || string(r.Stderr) != "err 0\nerr 1\n" {
		t.Errorf("the outputs are %q and %q", r.Stdout, r.Stderr)
	}
	for _, c := range []struct {
		cmd  []string
		want string
	}{
		{[]string{"/missing"}, `the program "/missing" is not in the container`},
		{[]string{"sh", "-c", "true"}, `the program "sh" is in no folder`},
		{nil, "no command"},
	} {
		if r, err := n.exec(id, 30, c.cmd...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, %v, want %q", c.cmd, r, err, c.want)
		}
	}
}

func TestExecMayOpenItsOutputAgain(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"}, func(c *runtime.ContainerConfig) {
		c.Linux.SecurityContext.RunAsUser = &runtime.Int64Value{Value: 65532}
	})
	r, err := n.exec(id, 30, "/app", "write", "/dev/stdout", "text")
	must(t, err)
	if string(r.Stdout) != "text" || r.ExitCode != 0 {
		t.Errorf("%q, %q, code %d", r.Stdout, r.Stderr, r.ExitCode)
	}
}

func TestExecIsKilledAfterItsTimeout(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	n.says(id, "ready")
	before := len(running(t))
	begin := time.Now()
	_, err := n.exec(id, 1, "/app", "family")
	if took := time.Since(begin); status.Code(err) != codes.DeadlineExceeded || took < time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	n.eventually("the command and its child are gone", func() bool { return len(running(t)) == before })
}

func TestExecEndsWithTheCaller(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	n.says(id, "ready")
	before := len(running(t))
	ctx, cancel := context.WithCancel(n.ctx())
	done := make(chan error, 1)
	go func() {
		_, err := n.runtime.ExecSync(ctx, &runtime.ExecSyncRequest{ContainerId: id, Cmd: []string{"/app", "stubborn"}})
		done <- err
	}()
	n.eventually("the command runs", func() bool { return len(running(t)) > before })
	cancel()
	if err := <-done; status.Code(err) != codes.Canceled {
		t.Errorf("ExecSync says %v", err)
	}
	n.eventually("the command is gone", func() bool { return len(running(t)) == before })
}

// A command ends with its container, as if killed.
func TestExecEndsWithTheContainer(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	n.says(id, "ready")
	before := len(running(t))
	type result struct {
		r   *runtime.ExecSyncResponse
		err error
	}
	done := make(chan result, 1)
	go func() {
		r, err := n.exec(id, 0, "/app", "stubborn")
		done <- result{r, err}
	}()
	n.eventually("the command runs", func() bool { return len(running(t)) > before })
	must(t, n.stop(id, 0))
	if got := <-done; got.err != nil || got.r.ExitCode != 137 {
		t.Errorf("the command ends with %v, %v", got.r, got.err)
	}
	if _, err := n.exec(id, 0, "/app"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a command in a container that has exited: %v", err)
	}
	if _, err := n.exec("unknown", 0, "/app"); status.Code(err) != codes.NotFound {
		t.Errorf("a command in an unknown container: %v", err)
	}
}

func TestCappedBuffer(t *testing.T) {
	var b cappedBuffer
	part := bytes.Repeat([]byte("x"), execOutputLimit/2+1)
	for range 3 {
		if n, err := b.Write(part); n != len(part) || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	if len(b.b) != execOutputLimit {
		t.Errorf("it keeps %d bytes", len(b.b))
	}
}
