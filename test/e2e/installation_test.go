package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// An installation is one service, as a process that has only the token of its
// ServiceAccount, in a cluster that it shares with others.
type installation struct {
	*rights
	*process
	since time.Time
}

// install grants the rights, except the missing ones, and starts the service, which
// binary or released has built.
func install(t *testing.T, binary func() (string, error), r *rights, missing []right, args ...string) *installation {
	t.Helper()
	r.without(t, missing...)
	r.settle(t, missing)
	token, err := r.cp.admin.CoreV1().ServiceAccounts(r.ns).CreateToken(t.Context(), r.account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg, kubeconfig := r.cp.RESTConfig(), api.NewConfig()
	kubeconfig.Clusters["cluster"] = &api.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	kubeconfig.AuthInfos["account"] = &api.AuthInfo{Token: token.Status.Token}
	kubeconfig.Contexts["context"] = &api.Context{Cluster: "cluster", AuthInfo: "account"}
	kubeconfig.CurrentContext = "context"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, file); err != nil {
		t.Fatal(err)
	}
	i := &installation{rights: r, since: time.Now()}
	args = append([]string{"--kubeconfig", file, "--health-checks=false", "--configmap-namespace", r.ns}, args...)
	i.process = start(t, commandOf(t, binary, serviceArgs(args)...))
	return i
}

// actAs sends further requests with the token of a ServiceAccount that has the
// ClusterRole of deploy/ for callers.
func (i *installation) actAs(account, role, audience string) {
	i.t.Helper()
	subject := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: i.ns}}
	_, err := i.cp.admin.CoreV1().ServiceAccounts(i.ns).Create(i.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	if err == nil {
		_, err = i.cp.admin.RbacV1().ClusterRoleBindings().Create(i.t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: i.ns + "-" + account}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role + "-" + i.ns},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := i.cp.admin.CoreV1().ServiceAccounts(i.ns).CreateToken(i.t.Context(), account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	if status, body := i.ask(http.MethodGet, "/api/v1/toolsets"); status != http.StatusUnauthorized {
		i.t.Errorf("without a token: %d %s", status, body)
	}
	i.token = token.Status.Token
}

// with returns a copy that reports failures to t.
func (i *installation) with(t *testing.T) *installation {
	c := *i
	c.process = i.process.with(t)
	return &c
}

func (i *installation) events() []event { return i.cp.audit.of(i.t, i.ns, i.account) }

// lists returns how many lists of Services the service has received.
func (i *installation) lists() int {
	all := right{"list", "", "services", "", ""}
	one := all
	one.namespace = i.ns
	events := i.events()
	return count(events, all, http.StatusOK) + count(events, one, http.StatusOK)
}

// forbidden returns how many requests were refused because they needed r.
func (i *installation) forbidden(r right) int {
	switch { // r would be needed to create the object
	case r.verb == "create" && r.resource == "configmaps":
		r.verb = "patch"
	case r.verb == "create" && r.resource == "leases":
		r.verb = "update"
	}
	return count(i.events(), r, http.StatusForbidden)
}

// shows reports whether there is a toolset with this name.
func (i *installation) shows(name string) bool {
	_, body := i.ask(http.MethodGet, "/api/v1/toolsets?namespace="+i.ns)
	return strings.Contains(body, fmt.Sprintf("%q", name))
}

// warning returns the header of a lookup that says how old the answer may be.
func (i *installation) warning() string {
	i.t.Helper()
	resp, _, err := i.do(http.MethodGet, "/api/v1/toolsets")
	if err != nil {
		i.t.Fatal(err)
	}
	return resp.Header.Get("Warning")
}

// backend creates or changes a Service that is a back end.
func (i *installation) backend(name string, port int32) {
	i.t.Helper()
	i.cp.service(i.t, i.ns, name, port)
}

// manyBackends creates n back ends, each of about 5 KiB in the documents.
func (i *installation) manyBackends(n int) {
	i.t.Helper()
	i.each(n, func(name string) error {
		_, err := i.cp.admin.CoreV1().Services(i.ns).Create(i.t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
				"kubernaut.io/toolset": "true", "kubernaut.io/toolset-type": "jaeger",
				"kubernaut.io/toolset-endpoint": "http://jaeger.example/" + strings.Repeat("a", 900),
			}},
			Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "http", Port: 16686}}},
		}, metav1.CreateOptions{})
		return err
	})
}

// noMoreBackends deletes them.
func (i *installation) noMoreBackends(n int) {
	i.t.Helper()
	i.each(n, func(name string) error {
		return i.cp.admin.CoreV1().Services(i.ns).Delete(i.t.Context(), name, metav1.DeleteOptions{})
	})
}

func (i *installation) each(n int, do func(name string) error) {
	i.t.Helper()
	var doing errgroup.Group
	doing.SetLimit(8)
	for k := range n {
		doing.Go(func() error { return do(fmt.Sprintf("many-%d", k)) })
	}
	if err := doing.Wait(); err != nil {
		i.t.Fatal(err)
	}
}

// wrote reports whether the ConfigMap has this toolset of the installation's namespace.
func (i *installation) wrote(name string) bool {
	return strings.Contains(i.document(), fmt.Sprintf("http://%s.%s.svc.", name, i.ns))
}

// document returns the content of the ConfigMap; empty if there is none.
func (i *installation) document() string {
	return i.cp.configMap(i.t, i.ns).Data[kubernaut.Key]
}
