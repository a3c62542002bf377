package sim_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// answers tries once, for longer than a working cluster ever needs.
func (p *place) answers(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := p.get(ctx, address, "/")
	return err
}

func TestCutLink(t *testing.T) {
	p := newPlace(t, cluster(t))
	spec := podSpec()
	spec.NodeName = "node1"
	there := p.run("there", spec)
	service := p.expose("there", map[string]string{"app": "there"})
	p.wantAnswer(service, "/", "there")
	restore := func(node string) {
		if err := p.c.RestoreLink(node); err != nil {
			t.Error(err)
		}
	}

	if err := p.c.CutLink("node1"); err != nil {
		t.Fatal(err)
	}
	defer restore("node1")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if conn, err := p.c.DialContext(ctx, "tcp", podAddress(there)); !errors.Is(err, context.DeadlineExceeded) {
		if err == nil {
			_ = conn.Close()
		}
		t.Errorf("a pod behind a cut link: %v, want silence", err)
	}
	if err := p.c.CutLink("node1"); err != nil {
		t.Errorf("cutting it twice: %v", err)
	}
	restore("node1")
	p.wantAnswer(podAddress(there), "/", "there")
	p.wantAnswer(service, "/", "there")

	// Services are reached through node0 while that can be reached.
	if err := p.c.CutLink("node0"); err != nil {
		t.Fatal(err)
	}
	defer restore("node0")
	p.wantAnswer(service, "/", "there")
	restore("node0")
	p.wantAnswer(service, "/", "there")

	if err := p.c.CutLink("node7"); err == nil || !strings.Contains(err.Error(), "node1") {
		t.Errorf("cutting the link of a node that is not there: %v", err)
	}
}

func TestKillKubelet(t *testing.T) {
	p := newPlace(t, cluster(t))
	spec := podSpec()
	spec.NodeName = "node0"
	old := p.run("old", spec)
	if err := p.c.KillKubelet("node0"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.c.StartKubelet("node0"); err != nil {
			t.Error(err)
		}
	}()
	if err := p.c.KillKubelet("node0"); err != nil {
		t.Errorf("killing it twice: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if conn, err := p.c.DialContext(ctx, "tcp", net.JoinHostPort(old.Status.HostIP, "10250")); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			_ = conn.Close()
		}
		t.Errorf("the port of a dead kubelet: %v, want it refused", err)
	}
	if err := p.answers(podAddress(old)); err != nil {
		t.Errorf("the pod of a dead kubelet: %v", err)
	}
	if err := p.c.StartKubelet("node0"); err != nil {
		t.Fatal(err)
	}
	p.run("new", spec) // which shows that it works again
	now, err := p.client.CoreV1().Pods(p.ns).Get(testContext(t), "old", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := container(now), container(old); got != want {
		t.Errorf("kubelet did not find its pod as it was: %s, before %s", got, want)
	}
}

func container(pod *corev1.Pod) string {
	s := pod.Status.ContainerStatuses[0]
	return fmt.Sprintf("%s restarted %d times", s.ContainerID, s.RestartCount)
}

func TestAPIServerOutage(t *testing.T) {
	p := newPlace(t, cluster(t))
	service := p.deploy("echo", podSpec())
	p.wantAnswer(service, "/", "of-image")
	if err := p.c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.c.StartAPIServer(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := p.client.CoreV1().Nodes().List(testContext(t), metav1.ListOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the API during an outage: %v, want it refused", err)
	}
	for range 20 {
		if err := p.answers(service); err != nil {
			t.Errorf("the Service during an outage of the API: %v", err)
		}
	}
	if err := p.c.StartAPIServer(testContext(t)); err != nil {
		t.Fatal(err)
	}
	p.run("after", podSpec()) // the scheduler and the kubelet are back, too
}
