// Package apiserver gives the tests of a package one real API server. It is started for
// the first test that needs it and stopped after the last one, since starting it takes
// longer than most tests. Each test has its own namespace. The package's TestMain must
// call [Main].
//
// A test that stops the server must not run in parallel with others. Tests that may do so
// call t.Parallel; they begin when all others have ended.
package apiserver

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/internal/patient"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

var shared struct {
	once sync.Once
	cp   *sim.ControlPlane
	err  error
}

// sideBySide is how many tests run in parallel, unless go test has a flag for it. They
// mostly wait, so there may be more of them than CPUs.
const sideBySide = "8"

// Main runs the tests, stops the server, and fails if goroutines are left.
func Main(m *testing.M) {
	told := false
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if !told {
		if err := flag.Set("test.parallel", sideBySide); err != nil {
			panic(err)
		}
	}
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

// An API is the server with an administrator's client and a namespace for the test.
type API struct {
	T  *testing.T
	CP *sim.ControlPlane
	kubernetes.Interface
	NS string
}

// New returns the server with a new namespace.
func New(t *testing.T) *API {
	t.Helper()
	cp := controlPlane(t)
	a := &API{T: t, CP: cp, Interface: Client(t, patient.Wrap(cp.RESTConfig()))}
	a.NS = a.Namespace("")
	return a
}

// Client returns a client whose connections are closed when the test ends.
func Client(t *testing.T, cfg *rest.Config) kubernetes.Interface {
	t.Helper()
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	c, err := kubernetes.NewForConfigAndClient(cfg, hc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Namespace creates a namespace and returns its name. If name is empty it makes one up.
func (a *API) Namespace(name string) string {
	a.T.Helper()
	ns, err := a.CoreV1().Namespaces().Create(a.T.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		a.T.Fatal(err)
	}
	return ns.Name
}

// Backend returns a Service with one port, 9090.
func Backend(ns, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9090}}},
	}
}

// Create creates Services with these names.
func (a *API) Create(names ...string) {
	a.T.Helper()
	for _, name := range names {
		if _, err := a.CoreV1().Services(a.NS).Create(a.T.Context(), Backend(a.NS, name), metav1.CreateOptions{}); err != nil {
			a.T.Fatal(err)
		}
	}
}

// Delete deletes the Services with these names.
func (a *API) Delete(names ...string) {
	a.T.Helper()
	for _, name := range names {
		if err := a.CoreV1().Services(a.NS).Delete(a.T.Context(), name, metav1.DeleteOptions{}); err != nil {
			a.T.Fatal(err)
		}
	}
}

// Names returns the names of Services in the namespace, in the form "ns/name ns/name".
func (a *API) Names(names ...string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = a.NS + "/" + n
	}
	return strings.Join(all, " ")
}

// Grant gives a user a Role in the namespace.
func (a *API) Grant(user, role string, rules ...rbacv1.PolicyRule) {
	a.T.Helper()
	_, err := a.RbacV1().Roles(a.NS).Create(a.T.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: rules}, metav1.CreateOptions{})
	if err == nil {
		_, err = a.RbacV1().RoleBindings(a.NS).Create(a.T.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		a.T.Fatal(err)
	}
}
