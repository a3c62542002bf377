package cri

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (n *node) stop(id string, grace int64) error {
	_, err := n.runtime.StopContainer(n.ctx(), &runtime.StopContainerRequest{ContainerId: id, Timeout: grace})
	return err
}

// ever is a grace period that no test waits for.
const ever = 100000

func TestContainerStopsByItself(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"serve", "80"})
	n.says(id, "ready")
	must(t, n.stop(id, ever))
	st := n.status(id) // at once, as Stop returns when it has exited
	if st.State != runtime.ContainerState_CONTAINER_EXITED || st.ExitCode != 0 || st.Reason != "Completed" {
		t.Errorf("it is %v with code %d, %q", st.State, st.ExitCode, st.Reason)
	}
	if got := n.output(id, "stdout"); got != "ready\nbye\n" {
		t.Errorf("its log is %q", got)
	}
	must(t, n.stop(id, ever)) // a second time
}

func TestContainerGetsTheStopSignalOfThePod(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	for sig, want := range map[runtime.Signal]string{
		runtime.Signal_SIGUSR1: "user defined signal 1", runtime.Signal_RUNTIME_DEFAULT: "terminated", runtime.Signal_SIGINT: "interrupt",
		runtime.Signal_SIGRTMINPLUS3: "signal 37", runtime.Signal_SIGRTMAX: "signal 64",
	} {
		id := pod.start("c"+sig.String(), []string{"signals"}, func(c *runtime.ContainerConfig) { c.StopSignal = sig })
		n.says(id, "ready")
		must(t, n.stop(id, ever))
		if got := n.output(id, "stdout"); got != "ready\n"+want+"\n" {
			t.Errorf("%v: its log is %q, want %q", sig, got, want)
		}
		if want := sig; want != runtime.Signal_RUNTIME_DEFAULT && n.status(id).StopSignal != want {
			t.Errorf("%v: the status says %v", sig, n.status(id).StopSignal)
		}
	}
}

func TestContainerIsKilledAfterItsGracePeriod(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"family"})
	n.says(id, "ready")
	begin := time.Now()
	must(t, n.stop(id, 1))
	took := time.Since(begin)
	st := n.status(id)
	if st.ExitCode != 137 || st.Reason != "Error" {
		t.Errorf("it ends with %d, %q, want 137, Error", st.ExitCode, st.Reason)
	}
	if took < time.Second {
		t.Errorf("it was killed after %v, before its grace period of 1 s", took)
	}
}

func TestContainerStopMayBeShortened(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	n.says(id, "ready")
	first := make(chan error, 1)
	go func() { first <- n.stop(id, ever) }()
	n.eventually("the signal is sent", func() bool { return strings.Contains(n.log.String(), "SIGTERM") })
	must(t, n.stop(id, 1))
	must(t, <-first)
	if st := n.status(id); st.ExitCode != 137 {
		t.Errorf("it ends with %d", st.ExitCode)
	}
	if c := strings.Count(n.log.String(), "SIGTERM"); c != 1 {
		t.Errorf("SIGTERM was sent %d times", c)
	}
}

func TestContainerStopEndsWithTheCaller(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	n.says(id, "ready")
	ctx, cancel := context.WithCancel(n.ctx())
	done := make(chan error, 1)
	go func() {
		_, err := n.runtime.StopContainer(ctx, &runtime.StopContainerRequest{ContainerId: id, Timeout: ever})
		done <- err
	}()
	n.eventually("the signal is sent", func() bool { return strings.Contains(n.log.String(), "SIGTERM") })
	cancel()
	if err := <-done; status.Code(err) != codes.Canceled {
		t.Errorf("StopContainer says %v", err)
	}
	n.eventually("the call is over", func() bool { return strings.Contains(n.log.String(), "StopContainer failed") })
	if st := n.status(id); st.State != runtime.ContainerState_CONTAINER_RUNNING {
		t.Errorf("it is %v after its caller has gone: kubelet, when it comes back, decides", st.State)
	}
}

func TestContainerIsRemoved(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	running, created := pod.start("running", []string{"stubborn"}), pod.create("created", nil)
	for _, id := range []string{running, created, running, "unknown"} {
		if _, err := n.runtime.RemoveContainer(n.ctx(), &runtime.RemoveContainerRequest{ContainerId: id}); err != nil {
			t.Errorf("remove %s: %v", id, err)
		}
		if _, err := n.runtime.ContainerStatus(n.ctx(), &runtime.ContainerStatusRequest{ContainerId: id}); status.Code(err) != codes.NotFound {
			t.Errorf("the status of what was removed: %v", err)
		}
	}
	if err := n.stop("unknown", 1); err != nil {
		t.Errorf("stop of an unknown container: %v", err)
	}
	if left := processes(t); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
	if _, err := n.runtime.StartContainer(n.ctx(), &runtime.StartContainerRequest{ContainerId: created}); status.Code(err) != codes.NotFound {
		t.Errorf("the start of what was removed: %v", err)
	}
}

// The end of a container is recorded, however it ends.
func TestContainerKilledFromInside(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	n.says(id, "ready")
	c, err := n.server.get(id)
	must(t, err)
	n.server.kill(c)
	if st := n.exited(id); st.ExitCode != 137 {
		t.Errorf("it ends with %d", st.ExitCode)
	}
}

func TestSecondsAreBounded(t *testing.T) {
	for in, want := range map[int64]time.Duration{-5: 0, 0: 0, 3: 3 * time.Second, 1 << 62: (1 << 31) * time.Second} {
		if got := seconds(in); got != want {
			t.Errorf("%d seconds are %v, want %v", in, got, want)
		}
	}
}
