package sim_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
)

func TestDeploymentServesAndRolls(t *testing.T) {
	p := newPlace(t, cluster(t))
	service := p.deploy("echo", podSpec())
	pods := p.pods("echo")
	if len(pods) != 2 || pods[0].Spec.NodeName == pods[1].Spec.NodeName {
		t.Fatalf("the two pods are not on two nodes: %v", pods)
	}
	for _, pod := range pods {
		// Both through the Service, so the pod networks and the rules of both nodes
		// work.
		p.wantAnswer(service, "/", pod.Name)
		p.wantAnswer(podAddress(&pod), "/", pod.Name)
		// From inside, through the rules of the pod's own node.
		p.wantAnswer(podAddress(&pod), "/fetch?url=http://"+service+"/", "of-image")
		for _, other := range pods {
			p.wantAnswer(podAddress(&pod), "/fetch?url=http://"+podAddress(&other)+"/", other.Name)
		}
	}
	if got, err := p.get(testContext(t), podAddress(&pods[0]), "/api"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a ServiceAccount without rights lists pods: %s, %v", got, err)
	}
	p.letView()
	p.wantAnswer(podAddress(&pods[0]), "/api", pods[1].Name)

	patch := `{"spec":{"template":{"spec":{"containers":[{"name":"echo","env":[{"name":"VERSION","value":"two"}]}]}}}}`
	if _, err := p.client.AppsV1().Deployments(p.ns).Patch(testContext(t), "echo", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	p.waitRollout("echo")
	p.wantAnswer(service, "/", "two")
	for _, old := range pods {
		if _, err := p.client.CoreV1().Pods(p.ns).Get(testContext(t), old.Name, metav1.GetOptions{}); err == nil {
			eventually(t, func(ctx context.Context) string {
				if _, err := p.client.CoreV1().Pods(p.ns).Get(ctx, old.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					return fmt.Sprintf("the old pod %s is still there: %v", old.Name, err)
				}
				return ""
			})
		}
	}
}

func TestExecLogsPortForward(t *testing.T) {
	p := newPlace(t, cluster(t))
	pod := p.run("echo", podSpec())
	ctx := testContext(t)
	logs, err := p.client.CoreV1().Pods(p.ns).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil || string(logs) != "listening of-image\n" {
		t.Errorf("logs: %q, %v", logs, err)
	}

	exec := kubectl(t, p, "exec", pod.Name, "--", "/bin/echo", "say", "a", "b")
	if out, err := exec.Output(); err != nil || string(out) != "a b\n" {
		t.Errorf("exec: %q, %v", out, err)
	}
	portForward(t, p, pod)
}

// kubectl runs the kubectl in the binary. (client-go's packages for exec and
// port-forward would add dependencies to the main module.)
func kubectl(t *testing.T, p *place, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	t.Cleanup(cancel)
	args = append([]string{"kubectl", "--kubeconfig=" + p.c.Kubeconfig(), "--namespace=" + p.ns}, args...)
	return exec.CommandContext(ctx, simtest.Binary(t), args...)
}

func portForward(t *testing.T, p *place, pod *corev1.Pod) {
	forward := kubectl(t, p, "port-forward", pod.Name, ":8080")
	output, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = forward.Process.Kill()
		_ = forward.Wait() // it was killed
	}()
	line, err := bufio.NewReader(output).ReadString('\n')
	fields := strings.Fields(line) // Forwarding from 127.0.0.1:41234 -> 8080
	if err != nil || len(fields) < 3 {
		t.Fatalf("port-forward said %q, %v", line, err)
	}
	direct := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := direct.Get("http://" + fields[2] + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), pod.Name) {
		t.Errorf("through port-forward: %q, %v", body, err)
	}
}

// TestDialErrors shows that a client outside gets the same errors as beside real nodes:
// a port on which nobody listens refuses, and a pod that is gone does not answer.
func TestDialErrors(t *testing.T) {
	p := newPlace(t, cluster(t))
	pod := p.run("echo", podSpec())
	dial := func(port string, timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		conn, err := p.c.DialContext(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, port))
		if err == nil {
			if got := conn.RemoteAddr().String(); got != net.JoinHostPort(pod.Status.PodIP, port) {
				t.Errorf("the connection's peer is %s", got)
			}
			_ = conn.Close()
		}
		return err
	}
	if err := dial("8080", soon); err != nil {
		t.Fatal(err)
	}
	var op *net.OpError
	if err := dial("1", soon); !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("a port where nobody listens: %v, want it refused", err)
	}
	if err := p.client.CoreV1().Pods(p.ns).Delete(testContext(t), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) string {
		if _, err := p.client.CoreV1().Pods(p.ns).Get(ctx, pod.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the pod is still there: %v", err)
		}
		return ""
	})
	err := dial("8080", 300*time.Millisecond)
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a pod that is gone: %v, want silence until the timeout", err)
	}
}

func TestHardenedPod(t *testing.T) { hardenedPod(t, newPlace(t, cluster(t))) }

// hardenedPod runs a pod that the strictest Pod Security level admits.
func hardenedPod(t *testing.T, p *place) {
	patch := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`
	if _, err := p.client.CoreV1().Namespaces().Patch(testContext(t), p.ns, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	spec := podSpec()
	if _, err := p.client.CoreV1().Pods(p.ns).Create(testContext(t), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "soft"}, Spec: spec}, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a pod that may be root is created where that is forbidden: %v", err)
	}
	user, yes, no := int64(65532), true, false
	spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, RunAsNonRoot: &yes,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	pod := p.run("hard", spec)
	want := "uid=65532 written=false"
	if p.c.OneUser() {
		want = "uid=0 written=false"
	}
	p.wantAnswer(podAddress(pod), "/me", want)
	// The token's file belongs to the group fsGroup, so that the user can read it.
	p.letView()
	p.wantAnswer(podAddress(pod), "/api", pod.Name)
}

// TestNodesHaveTheirRightsOnly shows that a node's user may only change its own Node,
// and that the kubelet's API requires authentication.
func TestNodesHaveTheirRightsOnly(t *testing.T) {
	c := cluster(t)
	node0 := client(t, c.RESTConfigAs("system:node:node0", "system:nodes")).CoreV1()
	for name, allowed := range map[string]bool{"node0": true, "node1": false} {
		patch := `{"metadata":{"annotations":{"example.com/test":"yes"}}}`
		_, err := node0.Nodes().Patch(testContext(t), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		if allowed && err != nil || !allowed && !apierrors.IsForbidden(err) {
			t.Errorf("node0 changes %s: %v", name, err)
		}
	}
	if _, err := node0.Secrets("kube-system").List(testContext(t), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("node0 lists Secrets: %v, want it forbidden", err)
	}
	node, err := node0.Nodes().Get(testContext(t), "node0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	anonymous := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: c.DialContext, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	resp, err := anonymous.Get("https://" + net.JoinHostPort(node.Status.Addresses[0].Address, "10250") + "/pods")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger asks kubelet for its pods: %s", resp.Status)
	}
}

func TestEndsAreReported(t *testing.T) {
	p := newPlace(t, cluster(t))
	t.Run("exit code", func(t *testing.T) {
		spec := podSpec()
		spec.RestartPolicy = corev1.RestartPolicyNever
		pod := p.run("exits", spec)
		_, _ = p.get(testContext(t), podAddress(pod), "/exit?code=7") // it can't answer
		state := terminated(t, p, pod.Name, nil)
		if state.ExitCode != 7 || state.Reason != "Error" {
			t.Errorf("the pod's status: %+v", state)
		}
	})
	t.Run("killed after the grace period", func(t *testing.T) {
		spec := podSpec() // 1 s
		spec.Containers[0].Args = []string{"deaf"}
		pod := p.run("deaf", spec)
		w, err := p.client.CoreV1().Pods(p.ns).Watch(testContext(t), metav1.ListOptions{FieldSelector: "metadata.name=deaf", ResourceVersion: pod.ResourceVersion})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		if err := p.client.CoreV1().Pods(p.ns).Delete(testContext(t), "deaf", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		if state := terminated(t, p, "deaf", w); state.ExitCode != 137 {
			t.Errorf("the pod's status: %+v", state)
		}
		if passed := time.Since(asked); passed < time.Second {
			t.Errorf("it was killed after %s, before its grace period of 1 s", passed)
		}
	})
}

// terminated waits until the status of the pod's container says how it ended, in the
// events of w or by polling.
func terminated(t *testing.T, p *place, name string, w watch.Interface) corev1.ContainerStateTerminated {
	t.Helper()
	var state *corev1.ContainerStateTerminated
	look := func(pod *corev1.Pod) {
		if s := pod.Status.ContainerStatuses; len(s) == 1 && s[0].State.Terminated != nil {
			state = s[0].State.Terminated
		}
	}
	eventually(t, func(ctx context.Context) string {
		if w == nil {
			if pod, err := p.client.CoreV1().Pods(p.ns).Get(ctx, name, metav1.GetOptions{}); err == nil {
				look(pod)
			}
		} else {
			select {
			case event := <-w.ResultChan():
				if pod, ok := event.Object.(*corev1.Pod); ok {
					look(pod)
				}
			case <-ctx.Done():
			}
		}
		if state == nil {
			return "no status says how the container of " + name + " ended"
		}
		return ""
	})
	return *state
}

func TestFailedClusterStartSaysWhyAndLeavesNothing(t *testing.T) {
	binary := simtest.Binary(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for what, option := range map[string]sim.Option{
		"--no-such-flag": sim.WithAPIServerFlags("--no-such-flag"),
		"nowhere":        sim.WithLogDir("/nowhere"),
		"0":              sim.WithNodes(0),
	} {
		c, err := sim.StartCluster(testContext(t), sim.WithBinary(binary), option)
		if err == nil {
			t.Fatal("started with", what, c.Stop())
		}
		if !strings.Contains(err.Error(), what) || errors.Is(err, sim.ErrUnsupported) {
			t.Errorf("the error does not name %s: %v", what, err)
		}
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestInterruptedClusterStartLeavesNothing ends the context, like Ctrl-C, when some
// processes run and others do not yet.
func TestInterruptedClusterStartLeavesNothing(t *testing.T) {
	cluster(t)
	binary := simtest.Binary(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	before := descendants(t, os.Getpid())
	ctx, cancel := context.WithCancel(testContext(t))
	halfWay := make(chan map[int]string, 1)
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if found, _ := filepath.Glob(filepath.Join(temp, "*", "logs", "kube-apiserver.log")); len(found) == 1 {
				halfWay <- descendants(t, os.Getpid())
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	c, err := sim.StartCluster(ctx, sim.WithBinary(binary))
	if err == nil {
		t.Fatal("started", c.Stop())
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	processes := <-halfWay
	for pid := range before {
		delete(processes, pid)
	}
	if len(processes) < 3 {
		t.Errorf("interrupted with %v running: too early", processes)
	}
	wantGone(t, processes, filepath.Join(temp, "none"), 0)
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
