package sim_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// descendants returns the names of the processes below pid, by number.
func descendants(t *testing.T, pid int) map[int]string {
	t.Helper()
	parents, names := map[int]int{}, map[int]string{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// 1234 (name, which may contain anything) S 1 ...
		head, tail, ok := strings.Cut(string(data[:strings.LastIndex(string(data), ")")]), " (")
		fields := strings.Fields(string(data[strings.LastIndex(string(data), ")")+1:]))
		child, err1 := strconv.Atoi(head)
		parent, err2 := strconv.Atoi(fields[1])
		if !ok || err1 != nil || err2 != nil {
			t.Fatalf("%s: %q", path, data)
		}
		parents[child], names[child] = parent, tail
	}
	found := map[int]string{}
	for child := range parents {
		for p := child; p > 0; p = parents[p] {
			if parents[p] == pid {
				found[child] = names[child]
				break
			}
		}
	}
	return found
}

// wantGone waits until none of the processes is left, nor the directory. If within is
// 0, it does not wait.
func wantGone(t *testing.T, processes map[int]string, dir string, within time.Duration) {
	t.Helper()
	wantNone(t, within, func() string {
		left := map[int]string{}
		for pid, name := range processes {
			now, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
			if err == nil && strings.Contains(string(now), "("+name+")") && !strings.Contains(string(now), ") Z ") {
				left[pid] = name
			}
		}
		_, err := os.Stat(dir)
		return leftovers(left, err)
	})
}

// TestTwoClustersAtOnce starts a second cluster, with the same addresses, beside the
// shared one.
func TestTwoClustersAtOnce(t *testing.T) {
	first := cluster(t)
	before := descendants(t, os.Getpid())
	logs := t.TempDir()
	second := simtest.StartCluster(t, sim.WithNodes(1), sim.WithLogDir(logs))
	processes := descendants(t, os.Getpid())
	for pid := range before {
		delete(processes, pid)
	}
	if len(processes) < 9 {
		t.Errorf("%d processes found, want enclose, fabric, 4 of the control plane and 3 of the node: %v", len(processes), processes)
	}
	for c, want := range map[*sim.Cluster]int{first: 2, second: 1} {
		nodes, err := client(t, c.RESTConfig()).CoreV1().Nodes().List(testContext(t), metav1.ListOptions{})
		if err != nil || len(nodes.Items) != want || len(c.Nodes()) != want {
			t.Errorf("a cluster of %d nodes has %v, %v", want, nodes.Items, err)
		}
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
	wantGone(t, processes, second.Dir(), 0)
	if err := second.Stop(); err != nil {
		t.Errorf("stopping it twice: %v", err)
	}
	select {
	case <-second.Done():
	default:
		t.Error("Done is not closed after Stop")
	}
	if text, err := os.ReadFile(filepath.Join(logs, "node0-kubelet.log")); err != nil || len(text) == 0 {
		t.Errorf("the log in the directory of the test's: %d bytes, %v", len(text), err)
	}
	if conn, err := second.DialContext(testContext(t), "tcp", "10.96.0.1:443"); err == nil {
		t.Error("a stopped cluster was dialled", conn.Close())
	}
	if err := second.StartKubelet("node0"); err == nil {
		t.Error("a kubelet of a stopped cluster was started")
	}
}

func TestKilledOwnerOfClusterLeavesNothing(t *testing.T) {
	cluster(t) // shows that this host can run a cluster
	owner, dir := startOwner(t, clusterEnv+"=1")
	processes := descendants(t, owner.Process.Pid)
	if len(processes) < 12 {
		t.Errorf("%d processes found, want 6 and 3 per node: %v", len(processes), processes)
	}
	killOwner(t, owner)
	wantGone(t, processes, dir, 10*time.Second)
}

// TestKilledFabric kills the process that owns a cluster's namespaces.
func TestKilledFabric(t *testing.T) {
	cluster(t)
	before := descendants(t, os.Getpid())
	c := simtest.StartCluster(t, sim.WithNodes(1))
	processes := descendants(t, os.Getpid())
	killed := false
	for pid := range processes {
		if before[pid] != "" {
			delete(processes, pid)
			continue
		}
		args, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err == nil && strings.HasPrefix(string(args), "fabric\x00") {
			killed = syscall.Kill(pid, syscall.SIGKILL) == nil
		}
	}
	if !killed {
		t.Fatal("no fabric among ", processes)
	}
	select {
	case <-c.Done():
	case <-time.After(testenv.Patience):
		t.Fatal("the end of the cluster was not noticed")
	}
	wantGone(t, processes, c.Dir(), 5*time.Second)
}

// TestClusterOfOrdinaryUser runs pods without root; one of them asks for another user.
func TestClusterOfOrdinaryUser(t *testing.T) {
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	p := newPlace(t, cluster(t))
	service := p.deploy("echo", podSpec())
	p.wantAnswer(service, "/", "of-image")
	hardenedPod(t, p)
}

// asNobody runs the test again, in a process without the rights of root.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	dir := t.TempDir()
	// Only root may be able to read go test's folder and the cache.
	for name, from := range map[string]string{"test": os.Args[0], "kube": simtest.Binary(t), "echo": echoProgram(t)} {
		if err := copyProgram(filepath.Join(dir, name), from); err != nil {
			t.Fatal(err)
		}
	}
	temp := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(temp, 0o700), os.Chown(temp, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, dir+"/test", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = temp
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "HOME="+temp, "TOOLSET_SIM_BINARY="+dir+"/kube", echoProgramEnv+"="+dir+"/echo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		testenv.Missing(t, "user namespaces for ordinary users", string(out))
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "dynamic-toolset-sim-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
