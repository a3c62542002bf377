package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/cluster/leader"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// The contract: how long it may take from the end of a leader until the next one leads.
const (
	afterKill    = 20 * time.Second
	afterRelease = time.Second
)

// A fleet is several replicas of one installation.
type fleet struct {
	t          *testing.T
	cp         *plane
	ns         string // of the ConfigMap and the Lease, and of a Service
	user       string
	kubeconfig string
	running    []*installation
	history    *history
}

// newFleet returns a fleet without replicas. Its user has all rights but those on the
// Lease.
func newFleet(t *testing.T, cp *plane, ns string) *fleet {
	t.Helper()
	f := &fleet{t: t, cp: cp, ns: ns, user: ns + "-service"}
	cp.namespace(t, ns)
	cp.grantConfigMap(t, f.user, ns)
	f.kubeconfig = cp.kubeconfig(t, f.user)
	return f
}

// join starts another replica, and waits until it serves.
func (f *fleet) join() *installation {
	f.t.Helper()
	i := &installation{rights: &rights{cp: f.cp, ns: f.ns}, since: time.Now()}
	i.process = serve(f.t, "--kubeconfig", f.kubeconfig, "--configmap-namespace", f.ns, "--shutdown-propagation-delay", "3s", "--health-checks=false")
	i.within(20*time.Second, "readiness", i.ready)
	f.running = append(f.running, i)
	return i
}

// leaves notes that a replica has ended.
func (f *fleet) leaves(gone *installation) {
	f.running = slices.DeleteFunc(f.running, func(i *installation) bool { return i == gone })
}

// leader returns the one replica that leads by its metric and holds the Lease.
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

// leads reports whether, by its log, the replica's last term was under this identity.
func (i *installation) leads(identity string) bool {
	last := ""
	for _, line := range i.log.all() {
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
	i.send(sig)
	return at
}

// replaced waits until a replica other than holder leads and has written, and checks that
// this took no longer than the contract allows.
func (f *fleet) replaced(holder, how string, since testenv.Stopwatch, within time.Duration) {
	f.t.Helper()
	next, taken, wrote := f.history.after(testenv.Patience, holder)
	f.t.Logf("%s: the lease changed hands after %v, and the ConfigMap was written after %v, by %s", how, taken.Sub(since.At()), wrote.Sub(since.At()), next)
	since.Judge(f.t, taken.Sub(since.At()), within, how+": another replica takes over")
}

// churn changes a Service all the time until ctx ends. While away is set it may fail.
func (f *fleet) churn(ctx context.Context, away *atomic.Bool) {
	for port := int32(1000); ; port++ {
		err := f.cp.setService(ctx, f.ns, "grafana", corev1.ServicePort{Name: "http", Port: port, TargetPort: intstr.FromInt32(3000)})
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

// Three replicas as processes have one writer, whatever happens to it: it is killed,
// stopped for longer than its lease and continued, told to stop, and cut off together
// with the others. Meanwhile the documents change all the time, and the whole history of
// the ConfigMap is recorded.
func TestOneWriter(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := ownPlane(t)
	f := newFleet(t, cp, installNamespace)
	cp.grantLease(t, f.user, f.ns)
	f.history = record(t, cp.admin, f.ns)
	check := sync.OnceFunc(f.history.check)
	defer check() // also when something else has failed
	churning, calm := context.WithCancel(t.Context())
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
		now.ends(-1)
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
		since := f.signal(now, syscall.SIGTERM)
		f.replaced(holder, fmt.Sprintf("SIGTERM, round %d", round+1), since, afterRelease)
		now.ends(0)
		f.leaves(now)
		f.join()
	}
	check()
	away.Store(true)
	f.outage(cp.StopAPIServer, func() error { return cp.StartAPIServer(t.Context()) })
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
	f.history = record(f.t, f.cp.admin, f.ns)
	f.t.Logf("an outage: %v after the API server was started somebody leads; before it was %s, now %s", took, before, f.history.holder())
}

// converge checks that, once nothing changes any more, all replicas and the ConfigMap
// have the same content, and that each replica returns its version.
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
			cm := f.cp.configMap(f.t, f.ns)
			version = cm.ResourceVersion
			_, body := i.ask(http.MethodGet, "/api/v1/toolsets")
			var list struct {
				Toolsets []struct{ ServiceEndpoint string }
			}
			return strings.Contains(body, fmt.Sprintf(`"configMapVersion":%q`, version)) && json.Unmarshal([]byte(body), &list) == nil &&
				len(list.Toolsets) == 1 && strings.Contains(cm.Data[kubernaut.Key], list.Toolsets[0].ServiceEndpoint+`"`)
		})
		// An API server that has just started refuses everything until it has read the
		// roles, and a client that was refused asks again after 10 s.
		i.within(soonGranted, "generate answers with it, on "+role, func() bool {
			status, body := i.ask(http.MethodPost, "/api/v1/toolsets/generate")
			return status == http.StatusOK && strings.Contains(body, fmt.Sprintf(`"configMapVersion":%q`, version)) && strings.Contains(body, "grafana")
		})
		if leading := i.metric("toolset_leader"); leading != map[bool]int{true: 1}[i == now] {
			f.t.Errorf("toolset_leader is %d on %s", leading, role)
		}
	}
}

// As long as nobody has written, a replica that does not lead says why it has no version
// to return.
func TestGenerateWithoutALeader(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	f := newFleet(t, cp, "no-leader")
	i := f.join()
	const sentence = `may not list leases "dynamic-toolset" in namespace no-leader: grant it the verb "list" on the resource "leases"`
	i.within(10*time.Second, "the missing right in the log", func() bool { return len(i.logged("error ", sentence)) > 0 })
	if detail := i.problem(http.MethodPost, "/api/v1/toolsets/generate", http.StatusServiceUnavailable); !strings.Contains(detail, sentence) {
		t.Errorf("generate says %q", detail)
	}
	if n := i.metric(`toolset_kubernetes_forbidden_total{verb="list",resource="leases"}`); n == 0 {
		t.Error("the refusal is not counted")
	}

	// Somebody else holds the lease, and does not write.
	cp.grantLease(t, f.user, f.ns)
	other := "somebody-else"
	i.within(soonGranted, "it leads", func() bool { return i.metric("toolset_leader") == 1 })
	i.within(10*time.Second, "it writes", func() bool { return i.document() != "" })
	lease, err := cp.admin.CoordinationV1().Leases(f.ns).Get(t.Context(), leaseName, metav1.GetOptions{})
	if err == nil {
		lease.Spec.HolderIdentity = &other
		_, err = cp.admin.CoordinationV1().Leases(f.ns).Update(t.Context(), lease, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	i.within(10*time.Second, "it leads no more", func() bool { return i.metric("toolset_leader") == 0 })
	if status, body := i.ask(http.MethodPost, "/api/v1/toolsets/generate"); status != http.StatusOK {
		t.Errorf("generate, of what a leader wrote before: %d %s", status, body)
	}
	if err := cp.admin.CoreV1().ConfigMaps(f.ns).Delete(t.Context(), configMapName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	i.within(10*time.Second, "generate says that the leader has written nothing, and who it is", func() bool {
		status, body := i.ask(http.MethodPost, "/api/v1/toolsets/generate")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "has not been written yet") && strings.Contains(body, other)
	})
	i.within(30*time.Second, "the lease ends, and this replica leads and writes", func() bool { return i.document() != "" && i.metric("toolset_leader") == 1 })
	// A renewal that the API server does not answer in time ends a term as well.
	late := i.logged("warn ", "The lease cannot be taken, renewed or released")
	if n := i.metric("toolset_leader_transitions_total"); n < 2 || n > 2 && len(late) == 0 {
		t.Errorf("%d terms counted", n)
	}
}
