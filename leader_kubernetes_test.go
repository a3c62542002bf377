package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster/leader"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/patient"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// The contract: how long it may take from the end of a leader to the next one's.
const (
	afterKill    = 20 * time.Second
	afterRelease = time.Second
)

// A fleet is several replicas of one installation.
type fleet struct {
	t          *testing.T
	ctx        context.Context
	admin      kubernetes.Interface
	kubeconfig string
	running    []*installation
	started    int
	history    *history
}

// join starts another replica, and waits until it serves.
func (f *fleet) join() *installation {
	f.t.Helper()
	f.started++
	dir := f.t.TempDir()
	i := &installation{rights: &rights{t: f.t, admin: f.admin, ns: installNamespace}, log: filepath.Join(dir, "log"), since: time.Now()}
	i.cmd = command(f.t, "--kubeconfig", f.kubeconfig, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json",
		"--shutdown-propagation-delay", "3s", "--health-checks=false")
	out, err := os.Create(i.log)
	if err != nil {
		f.t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // the process has a copy
	i.cmd.Stderr = out
	if err := i.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	number := f.started
	f.t.Cleanup(func() {
		if i.cmd.ProcessState == nil {
			i.cmd.Process.Kill() //nolint:errcheck // an earlier failure, which is told
			i.cmd.Wait()         //nolint:errcheck // as above
		}
		if f.t.Failed() {
			f.t.Logf("the log of replica %d:\n%s", number, i.text())
		}
	})
	i.serving()
	i.within(20*time.Second, "readiness", i.ready)
	f.running = append(f.running, i)
	return i
}

// leaves takes note that one has ended.
func (f *fleet) leaves(gone *installation) {
	for n, i := range f.running {
		if i == gone {
			f.running = append(f.running[:n:n], f.running[n+1:]...)
		}
	}
}

// leader is the one replica whose metric says that it leads, and that holds the
// Lease.
func (f *fleet) leader() *installation {
	f.t.Helper()
	var found *installation
	f.running[0].within(afterKill, "one replica leads, and says so", func() bool {
		found = nil
		for _, i := range f.running {
			if i.metric("toolset_leader") != 1 {
				continue
			}
			if found != nil {
				return false
			}
			found = i
		}
		return found != nil && found.leads(f.history.holder())
	})
	return found
}

// leads reports whether the last of its terms, by its log, was by this name.
func (i *installation) leads(identity string) bool {
	last := ""
	for line := range strings.Lines(i.text()) {
		var l struct{ Msg, Reign string }
		if json.Unmarshal([]byte(line), &l) == nil && strings.HasPrefix(l.Msg, "This replica leads: ") {
			last, _, _ = strings.Cut(l.Reign, "/")
		}
	}
	return last != "" && last == identity
}

func (f *fleet) signal(i *installation, sig syscall.Signal) testenv.Stopwatch {
	f.t.Helper()
	at := testenv.Start()
	if err := i.cmd.Process.Signal(sig); err != nil {
		f.t.Fatal(err)
	}
	return at
}

// replaced waits until another replica than holder leads and has written, and checks
// that it took no longer than the contract says since then.
func (f *fleet) replaced(holder, how string, since testenv.Stopwatch, within time.Duration) {
	f.t.Helper()
	next, taken, wrote := f.history.after(testenv.Patience, holder)
	f.t.Logf("%s: the lease changed hands after %v, and the ConfigMap was written after %v, by %s", how, taken.Sub(since.At()), wrote.Sub(since.At()), next)
	since.Judge(f.t, taken.Sub(since.At()), within, how+": another replica takes over")
}

// churn changes a Service all the time, until ctx ends; that may fail while away.
func (f *fleet) churn(ctx context.Context, away *atomic.Bool) {
	services := f.admin.CoreV1().Services(installNamespace)
	for port := int32(1000); ; port++ {
		svc := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "grafana", Labels: map[string]string{"app.kubernetes.io/name": "grafana"}},
			Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app.kubernetes.io/name": "grafana"},
				Ports:    []corev1.ServicePort{{Name: "http", Port: port, TargetPort: intstr.FromInt32(3000)}},
			},
		}
		old, err := services.Get(ctx, svc.Name, metav1.GetOptions{})
		if err == nil {
			old.Spec.Ports = svc.Spec.Ports
			_, err = services.Update(ctx, old, metav1.UpdateOptions{})
		} else {
			_, err = services.Create(ctx, svc, metav1.CreateOptions{})
		}
		if err != nil && ctx.Err() == nil && !away.Load() {
			f.t.Errorf("changing the Service: %v", err)
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// Three replicas as processes, and one writer, whatever happens to it: it is killed,
// stopped for longer than its lease and woken up again, told to end, cut off with all
// others. All the while the documents change, and the ConfigMap's whole history is
// recorded.
func TestOneWriter(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane, and waits for leases to end")
	}
	t.Parallel() // it mostly waits
	cp := simtest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*testenv.Patience)
	defer cancel()
	cfg := cp.RESTConfig()
	cfg.QPS, cfg.Burst = 100, 100 // or this client would limit the changes
	admin, err := kubernetes.NewForConfig(patient.Wrap(cfg))
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, ctx: ctx, admin: admin, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	const user = "toolset-service"
	if _, err := f.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: installNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	grant(ctx, t, f.admin, user, installNamespace)
	if err := cp.WriteKubeconfigAs(f.kubeconfig, user); err != nil {
		t.Fatal(err)
	}
	f.history = record(ctx, t, f.admin, installNamespace)
	check := sync.OnceFunc(f.history.check)
	defer check() // also when something else has failed
	churning, calm := context.WithCancel(ctx)
	churned := make(chan struct{})
	var away atomic.Bool
	go func() { defer close(churned); f.churn(churning, &away) }()
	defer func() { calm(); <-churned }()
	for range 3 {
		f.join()
	}

	for round := range 2 {
		now, holder := f.leader(), f.history.holder()
		since := f.signal(now, syscall.SIGKILL)
		now.cmd.Wait() //nolint:errcheck // it was killed
		f.leaves(now)
		f.replaced(holder, fmt.Sprintf("kill -9, round %d", round+1), since, afterKill)
		f.join()
	}
	for round := range 3 {
		now, holder := f.leader(), f.history.holder()
		since := f.signal(now, syscall.SIGSTOP)
		f.replaced(holder, fmt.Sprintf("kill -STOP, round %d", round+1), since, afterKill)
		time.Sleep(time.Duration(round) * time.Second)
		f.signal(now, syscall.SIGCONT)
		now.within(10*time.Second, "who was stopped learns that it leads no more", func() bool {
			return len(now.logged("This replica leads no more")) > 0 && now.metric("toolset_leader") == 0
		})
	}
	for round := range 2 {
		now, holder := f.leader(), f.history.holder()
		bounded.CloseIdleConnections() // for which it would wait
		since := f.signal(now, syscall.SIGTERM)
		f.replaced(holder, fmt.Sprintf("SIGTERM, round %d", round+1), since, afterRelease)
		now.ended()
		f.leaves(now)
		f.join()
	}
	check()
	away.Store(true)
	f.outage(cp.StopAPIServer, func() error { return cp.StartAPIServer(ctx) })
	f.join()
	calm()
	<-churned
	f.converge()
}

// outage takes the API server away for longer than a lease lasts.
func (f *fleet) outage(stop, start func() error) {
	f.t.Helper()
	now, before := f.leader(), f.history.holder()
	f.history.stop()
	if err := stop(); err != nil {
		f.t.Fatal(err)
	}
	now.within(leader.RenewDeadline+2*time.Second, "nobody leads", func() bool {
		for _, i := range f.running {
			if i.metric("toolset_leader") != 0 {
				return false
			}
		}
		return true
	})
	time.Sleep(leader.LeaseDuration)
	since := time.Now()
	if err := start(); err != nil {
		f.t.Fatal(err)
	}
	now.within(time.Minute, "some replica leads", func() bool {
		for _, i := range f.running {
			if i.metric("toolset_leader") == 1 {
				return true
			}
		}
		return false
	})
	took := time.Since(since)
	f.history = record(f.ctx, f.t, f.admin, installNamespace)
	f.t.Logf("an outage: %v after the API server was started somebody leads; before it was %s, now %s", took, before, f.history.holder())
}

// converge checks that, once nothing changes, all replicas and the ConfigMap say the
// same, and that each replica answers for the ConfigMap.
func (f *fleet) converge() {
	f.t.Helper()
	now := f.leader()
	for _, i := range f.running {
		role := "a follower"
		if i == now {
			role = "the leader"
		}
		var version string
		i.within(soonGranted+10*time.Second, role+" lists what the ConfigMap holds, and its version", func() bool {
			cm, err := f.admin.CoreV1().ConfigMaps(installNamespace).Get(f.ctx, configMapName, metav1.GetOptions{})
			if err != nil {
				f.t.Fatal(err)
			}
			version = cm.ResourceVersion
			_, body := i.ask(http.MethodGet, "/api/v1/toolsets")
			var list struct {
				Toolsets []struct{ ServiceEndpoint string }
			}
			return strings.Contains(body, fmt.Sprintf(`"configMapVersion":%q`, version)) && json.Unmarshal([]byte(body), &list) == nil &&
				len(list.Toolsets) == 1 && strings.Contains(cm.Data[service.KubernautKey], list.Toolsets[0].ServiceEndpoint+`"`)
		})
		// An API server that has just started refuses everything until it knows the
		// roles, and who was refused asks again after 10 s.
		i.within(soonGranted, "generate answers with it, on "+role, func() bool {
			status, body := i.ask(http.MethodPost, "/api/v1/toolsets/generate")
			return status == http.StatusOK && strings.Contains(body, fmt.Sprintf(`"configMapVersion":%q`, version)) && strings.Contains(body, "grafana")
		})
		if leading := i.metric("toolset_leader"); leading != map[bool]int{true: 1}[i == now] {
			f.t.Errorf("toolset_leader is %d on %s", leading, role)
		}
	}
}

// A replica that does not lead says why it has nothing to show, as long as nobody
// has written.
func TestGenerateWithoutALeader(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	t.Parallel() // it mostly waits
	cp := simtest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*testenv.Patience)
	defer cancel()
	f := &fleet{t: t, ctx: ctx, admin: adminOf(t, cp), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if _, err := f.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: installNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	grantConfigMap(ctx, t, f.admin, "toolset-service", installNamespace)
	if err := cp.WriteKubeconfigAs(f.kubeconfig, "toolset-service"); err != nil {
		t.Fatal(err)
	}
	f.history = record(ctx, t, f.admin, installNamespace)
	i := f.join()
	const sentence = `may not list leases "dynamic-toolset" in namespace kubernaut-system: grant it the verb "list" on the resource "leases"`
	i.within(10*time.Second, "the missing right in the log", func() bool { return len(i.logged("error ", sentence)) > 0 })
	if detail := i.problem(http.MethodPost, "/api/v1/toolsets/generate", http.StatusServiceUnavailable); !strings.Contains(detail, sentence) {
		t.Errorf("generate says %q", detail)
	}
	if n := i.metric(`toolset_kubernetes_forbidden_total{verb="list",resource="leases"}`); n == 0 {
		t.Error("the refusal is not counted")
	}

	// Somebody else holds the lease, and does not write.
	grantLease(ctx, t, f.admin, "toolset-service", installNamespace)
	other := "somebody-else"
	i.within(soonGranted, "it leads", func() bool { return i.metric("toolset_leader") == 1 })
	i.within(10*time.Second, "it writes", func() bool { return i.document(ctx) != "" })
	lease, err := f.admin.CoordinationV1().Leases(installNamespace).Get(ctx, leaseName, metav1.GetOptions{})
	if err == nil {
		lease.Spec.HolderIdentity = &other
		_, err = f.admin.CoordinationV1().Leases(installNamespace).Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	i.within(10*time.Second, "it leads no more", func() bool { return i.metric("toolset_leader") == 0 })
	if status, body := i.ask(http.MethodPost, "/api/v1/toolsets/generate"); status != http.StatusOK {
		t.Errorf("generate, of what a leader wrote before: %d %s", status, body)
	}
	if err := f.admin.CoreV1().ConfigMaps(installNamespace).Delete(ctx, configMapName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	i.within(10*time.Second, "generate says that the leader has written nothing, and who it is", func() bool {
		status, body := i.ask(http.MethodPost, "/api/v1/toolsets/generate")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "has not been written yet") && strings.Contains(body, other)
	})
	i.within(30*time.Second, "the lease ends, and this replica leads and writes", func() bool { return i.document(ctx) != "" && i.metric("toolset_leader") == 1 })
	if n := i.metric("toolset_leader_transitions_total"); n != 2 {
		t.Errorf("%d terms counted", n)
	}
}

// grantLease gives user the rights on the lease that the service needs, and no more.
func grantLease(ctx context.Context, t *testing.T, admin kubernetes.Interface, user, namespace string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "dynamic-toolset-lease"}
	_, err := admin.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: []string{leaseName},
		Verbs: []string{"list", "watch", "create", "update"},
	}}}, metav1.CreateOptions{})
	if err == nil {
		_, err = admin.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta,
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
