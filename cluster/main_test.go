package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/internal/patient"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// One real control plane for all tests that want one; each has a namespace of
// its own. Tests do not run in parallel: some stop the API server.
var shared struct {
	once sync.Once
	cp   *sim.ControlPlane
	err  error
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if shared.cp != nil {
		if err := shared.cp.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "the control plane left something behind:", err)
			code = 1
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func controlPlane(t *testing.T) *sim.ControlPlane {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	shared.once.Do(func() { shared.cp, shared.err = sim.StartControlPlane(context.Background()) })
	if errors.Is(shared.err, sim.ErrUnavailable) {
		testenv.Missing(t, "the simulated cluster's binary ("+shared.err.Error()+")",
			"Build it once where the Go module proxy can be reached, with: go run ./harness/sim/cmd/simcluster build")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	if err := shared.cp.StartAPIServer(t.Context()); err != nil { // an earlier test may have failed
		t.Fatal(err)
	}
	return shared.cp
}

// An api is a client for arranging things, and a namespace.
type api struct {
	t  *testing.T
	cp *sim.ControlPlane
	kubernetes.Interface
	ns string
}

func newAPI(t *testing.T) *api {
	t.Helper()
	cp := controlPlane(t)
	cfg := patient.Wrap(cp.RESTConfig())
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(cfg, hc)
	if err != nil {
		t.Fatal(err)
	}
	a := &api{t: t, cp: cp, Interface: client}
	a.ns = a.namespace("")
	return a
}

func (a *api) namespace(name string) string {
	a.t.Helper()
	ns, err := a.CoreV1().Namespaces().Create(a.t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	return ns.Name
}

func backend(ns, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9090}}},
	}
}

func (a *api) create(names ...string) {
	a.t.Helper()
	for _, name := range names {
		if _, err := a.CoreV1().Services(a.ns).Create(a.t.Context(), backend(a.ns, name), metav1.CreateOptions{}); err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *api) delete(names ...string) {
	a.t.Helper()
	for _, name := range names {
		if err := a.CoreV1().Services(a.ns).Delete(a.t.Context(), name, metav1.DeleteOptions{}); err != nil {
			a.t.Fatal(err)
		}
	}
}

// want is what recorder.names gives for these Services of the namespace.
func (a *api) want(names ...string) string {
	for i, n := range names {
		names[i] = a.ns + "/" + n
	}
	return strings.Join(names, " ")
}

// grant gives a user a Role in the namespace.
func (a *api) grant(user, role string, rules ...rbacv1.PolicyRule) {
	a.t.Helper()
	_, err := a.RbacV1().Roles(a.ns).Create(a.t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: rules}, metav1.CreateOptions{})
	if err == nil {
		_, err = a.RbacV1().RoleBindings(a.ns).Create(a.t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// background runs f until the test ends, and checks that it leaves nothing.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		end := testenv.Start()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			end.Within(t, 5*time.Second, "Run returns after the end of its context")
		case <-time.After(testenv.Patience):
			t.Error("Run did not return after the end of its context")
		}
	})
}

func logger(t *testing.T) *zap.Logger {
	if testing.Verbose() {
		return zaptest.NewLogger(t)
	}
	return zap.NewNop()
}

// A freezer stands for a network: when frozen, connections stay open, and
// nothing passes.
type freezer struct {
	mu   sync.Mutex
	thaw chan struct{} // nil while not frozen
}

func (f *freezer) set(frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if frozen == (f.thaw != nil) {
		return
	}
	if frozen {
		f.thaw = make(chan struct{})
	} else {
		close(f.thaw)
		f.thaw = nil
	}
}

func (f *freezer) state() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.thaw
}

func (f *freezer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c := f.state(); c != nil {
		select {
		case <-c:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	conn, err := dialer(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &freezable{Conn: conn, f: f, closed: make(chan struct{})}, nil
}

type freezable struct {
	net.Conn
	f      *freezer
	once   sync.Once
	closed chan struct{}
}

// pass waits while frozen; bytes that were on their way are lost for good, as
// the connection is: it never thaws.
func (c *freezable) pass() error {
	if c.f.state() == nil {
		return nil
	}
	<-c.closed
	return net.ErrClosed
}

func (c *freezable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if e := c.pass(); e != nil {
		return 0, e
	}
	return n, err
}

func (c *freezable) Write(p []byte) (int, error) {
	if err := c.pass(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *freezable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
