package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/patient"
)

// Defaults of settings.
const (
	configMapName = "kubernaut-toolset-config" // --configmap-name
	leaseName     = "dynamic-toolset"          // --leader-election-lease
)

// A plane is a Kubernetes API server with an audit log. It has no nodes and no
// controllers.
type plane struct {
	*sim.ControlPlane
	admin kubernetes.Interface // may do everything
	audit *audit
}

func newPlane(cp *sim.ControlPlane, a *audit) (*plane, error) {
	cfg := cp.RESTConfig()
	cfg.QPS = -1 // no limit
	admin, err := kubernetes.NewForConfig(patient.Wrap(cfg))
	return &plane{cp, admin, a}, err
}

// ownPlane starts a plane for a test that stops it or fills it. It ends with the test.
func ownPlane(t *testing.T) *plane {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	a, flags, err := newAudit(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlane(simtest.Start(t, flags), a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sharedPlane is the plane of all other tests. Every service in it sees the Services of
// all tests.
var sharedPlane shared

type shared struct {
	once sync.Once
	dir  string // of the audit log
	*plane
	err error
}

// get returns the plane. The first test to call it starts it.
func (s *shared) get(t *testing.T) *plane {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	path := simtest.Binary(t)
	s.once.Do(func() { s.err = s.start(path) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the shared control plane's logs:\n%s", s.LogTail())
		}
	})
	return s.plane
}

func (s *shared) start(path string) (err error) {
	if s.dir, err = os.MkdirTemp("", "dynamic-toolset-e2e-"); err != nil {
		return err
	}
	a, flags, err := newAudit(s.dir)
	if err != nil {
		return err
	}
	cp, err := sim.StartControlPlane(context.Background(), sim.WithBinary(path), flags)
	if err != nil {
		return err
	}
	s.plane, err = newPlane(cp, a)
	return err
}

// stop is called when all tests have ended.
func (s *shared) stop() error {
	if s.plane == nil {
		return nil
	}
	return errors.Join(s.Stop(), os.RemoveAll(s.dir))
}

// kubeconfig returns a kubeconfig file for this user.
func (p *plane) kubeconfig(t *testing.T, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := p.WriteKubeconfigAs(path, user); err != nil {
		t.Fatal(err)
	}
	return path
}

// namespace makes a namespace.
func (p *plane) namespace(t *testing.T, name string) {
	t.Helper()
	if _, err := p.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// service creates a Service that is a Grafana, or changes its port.
func (p *plane) service(t *testing.T, ns, name string, port int32) {
	t.Helper()
	if err := p.setService(t.Context(), ns, name, corev1.ServicePort{Name: "http", Port: port}); err != nil {
		t.Fatal(err)
	}
}

func (p *plane) setService(ctx context.Context, ns, name string, port corev1.ServicePort) error {
	services, ports := p.admin.CoreV1().Services(ns), []corev1.ServicePort{port}
	if old, err := services.Get(ctx, name, metav1.GetOptions{}); err == nil {
		old.Spec.Ports = ports
		_, err = services.Update(ctx, old, metav1.UpdateOptions{})
		return err
	}
	_, err := services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/name": "grafana"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": name},
			Ports:    ports,
		},
	}, metav1.CreateOptions{})
	return err
}

// deleteService deletes a Service.
func (p *plane) deleteService(t *testing.T, ns, name string) {
	t.Helper()
	if err := p.admin.CoreV1().Services(ns).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// configMap returns the ConfigMap that the service has written in a namespace; nil if
// there is none.
func (p *plane) configMap(t *testing.T, ns string) *corev1.ConfigMap {
	t.Helper()
	cm, err := p.admin.CoreV1().ConfigMaps(ns).Get(t.Context(), configMapName, metav1.GetOptions{})
	if err != nil {
		return &corev1.ConfigMap{}
	}
	return cm
}

// grant gives a user those rights that the README lists, and no others. The ConfigMap and
// the Lease are in namespace ns.
func (p *plane) grant(t *testing.T, user, ns string) {
	t.Helper()
	p.grantConfigMap(t, user, ns)
	p.grantLease(t, user, ns)
}

// grantConfigMap gives a user the rights on the ConfigMap that a single replica needs.
func (p *plane) grantConfigMap(t *testing.T, user, ns string) {
	t.Helper()
	p.bind(t, user, "", "services", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	p.bind(t, user, ns, "configmap", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"},
		ResourceNames: []string{configMapName}, Verbs: []string{"list", "watch", "create", "patch"}})
}

// grantLease gives a user the rights on the Lease.
func (p *plane) grantLease(t *testing.T, user, ns string) {
	t.Helper()
	p.bind(t, user, ns, "lease", rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"},
		ResourceNames: []string{leaseName}, Verbs: []string{"list", "watch", "create", "update"}})
}

// bind gives a user a right in a namespace, or in all if that is empty.
func (p *plane) bind(t *testing.T, user, ns, what string, rule rbacv1.PolicyRule) {
	t.Helper()
	meta, rules := metav1.ObjectMeta{Name: user + "-" + what}, []rbacv1.PolicyRule{rule}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name}
	rbac, ctx, create := p.admin.RbacV1(), t.Context(), metav1.CreateOptions{}
	var err error
	if ns == "" {
		ref.Kind = "ClusterRole"
		if _, err = rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, create); err == nil {
			_, err = rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, create)
		}
	} else if _, err = rbac.Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, create); err == nil {
		_, err = rbac.RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, create)
	}
	if err != nil {
		t.Fatal(err)
	}
}
