package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/internal/patient"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// configMapName is the default of --configmap-name.
const configMapName = "kubernaut-toolset-config"

// bounded is a client for a few words with the service.
var bounded = &http.Client{Timeout: testenv.Patience}

// An installation is one service, as a process, that has nothing but the token of
// its ServiceAccount, in a cluster that it shares with others.
type installation struct {
	*rights
	audit      *audit
	cmd        *exec.Cmd
	log        string // path
	url, stats string
	bearer     string // the token of who asks; none if empty
	since      time.Time
}

// install applies the rights, but for those that are missing, and starts the
// service.
func install(ctx context.Context, t *testing.T, cp *sim.ControlPlane, a *audit, r *rights, missing []right, args ...string) *installation {
	t.Helper()
	r.without(ctx, missing...)
	r.settle(ctx, missing)
	token, err := r.admin.CoreV1().ServiceAccounts(r.ns).CreateToken(ctx, r.account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg, kubeconfig := cp.RESTConfig(), api.NewConfig()
	kubeconfig.Clusters["cluster"] = &api.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	kubeconfig.AuthInfos["account"] = &api.AuthInfo{Token: token.Status.Token}
	kubeconfig.Contexts["context"] = &api.Context{Cluster: "cluster", AuthInfo: "account"}
	kubeconfig.CurrentContext = "context"
	dir := t.TempDir()
	file := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, file); err != nil {
		t.Fatal(err)
	}
	i := &installation{rights: r, audit: a, log: filepath.Join(dir, "log"), since: time.Now()}
	i.cmd = command(t, append([]string{"--kubeconfig", file, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json",
		"--shutdown-propagation-delay", "100ms", "--health-checks=false", "--configmap-namespace", r.ns}, args...)...)
	out, err := os.Create(i.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // the process has a copy
	i.cmd.Stderr = out
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if i.cmd.ProcessState == nil {
			i.cmd.Process.Kill() //nolint:errcheck // an earlier failure, which is told
			i.cmd.Wait()         //nolint:errcheck // as above
		}
		if t.Failed() {
			t.Logf("the log in %s:\n%s", r.ns, i.text())
		}
	})
	return i
}

// actAs makes whoever asks from now on a ServiceAccount that is bound to the
// ClusterRole of deploy/ for callers.
func (i *installation) actAs(ctx context.Context, account, role, audience string) {
	i.t.Helper()
	subject := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: i.ns}}
	_, err := i.admin.CoreV1().ServiceAccounts(i.ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	if err == nil {
		_, err = i.admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: i.ns + "-" + account}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role + "-" + i.ns},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := i.admin.CoreV1().ServiceAccounts(i.ns).CreateToken(ctx, account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	if status, body := i.ask(http.MethodGet, "/api/v1/toolsets"); status != http.StatusUnauthorized {
		i.t.Errorf("without a token: %d %s", status, body)
	}
	i.bearer = token.Status.Token
}

// serving waits for the service to say where it listens.
func (i *installation) serving() {
	i.t.Helper()
	i.within(20*time.Second, "the service listens", func() bool {
		for line := range strings.Lines(i.text()) {
			var l struct{ Msg, API, Metrics string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "Serving" {
				i.url, i.stats = "http://"+l.API, "http://"+l.Metrics+"/metrics"
			}
		}
		return i.url != ""
	})
}

// with makes t the test that fails.
func (i *installation) with(t *testing.T) *installation {
	c, r, a := *i, *i.rights, *i.audit
	c.rights, c.audit, r.t, a.t = &r, &a, t, t
	return &c
}

func (i *installation) events() []event { return i.audit.of(i.ns, i.account) }

// lists counts the lists of Services that the service has got.
func (i *installation) lists() int {
	all := right{"list", "", "services", "", ""}
	one := all
	one.namespace = i.ns
	events := i.events()
	return count(events, all, http.StatusOK) + count(events, one, http.StatusOK)
}

// forbidden counts the requests that needed r and were refused.
func (i *installation) forbidden(r right) int {
	switch { // by which it is created
	case r.verb == "create" && r.resource == "configmaps":
		r.verb = "patch"
	case r.verb == "create" && r.resource == "leases":
		r.verb = "update"
	}
	return count(i.events(), r, http.StatusForbidden)
}

// within waits until good is true; see testenv.Eventually.
func (i *installation) within(limit time.Duration, what string, good func() bool) {
	i.t.Helper()
	testenv.Eventually(i.t, limit, what, good)
}

// ask returns an answer's status and body; 0 and the error if there is none.
func (i *installation) ask(method, path string) (int, string) {
	i.t.Helper()
	url := i.url + path
	if path == "metrics" {
		url = i.stats
	}
	req, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if i.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+i.bearer)
	}
	resp, err := bounded.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// problem asks and returns the detail of the problem document, which must be one
// of this status.
func (i *installation) problem(method, path string, status int) string {
	i.t.Helper()
	code, body := i.ask(method, path)
	var p struct {
		Type, Detail string
		Status       int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || code != status || p.Status != status || p.Type == "" {
		i.t.Errorf("%s %s answers %d %s, want a problem document of %d", method, path, code, body, status)
	}
	return p.Detail
}

func (i *installation) ready() bool {
	status, _ := i.ask(http.MethodGet, "/health/ready")
	return status == http.StatusOK
}

// shows reports whether the lookups name this toolset.
func (i *installation) shows(name string) bool {
	_, body := i.ask(http.MethodGet, "/api/v1/toolsets?namespace="+i.ns)
	return strings.Contains(body, fmt.Sprintf("%q", name))
}

// warning is the header of a lookup that says how old the answer may be.
func (i *installation) warning() string {
	i.t.Helper()
	resp, err := bounded.Get(i.url + "/api/v1/toolsets")
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only the header counts
	return resp.Header.Get("Warning")
}

// metric returns a series' value; 0 if it isn't there.
func (i *installation) metric(series string) int {
	i.t.Helper()
	_, body := i.ask(http.MethodGet, "metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\d+)$`).FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		i.t.Fatal(err)
	}
	return n
}

func (i *installation) text() string {
	b, err := os.ReadFile(i.log)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(b)
}

// logged returns the lines of the log, each a JSON object, that hold all words.
func (i *installation) logged(words ...string) (found []string) {
	i.t.Helper()
lines:
	for line := range strings.Lines(i.text()) {
		var l struct{ Level, Msg, Error string }
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			i.t.Fatalf("a line of the log is no JSON: %s", line)
		}
		text := l.Level + " " + l.Msg + ": " + l.Error
		for _, w := range words {
			if !strings.Contains(text, w) {
				continue lines
			}
		}
		found = append(found, text)
	}
	return found
}

// backend makes, or changes, a Service that is listed.
func (i *installation) backend(ctx context.Context, name string, port int32) {
	i.t.Helper()
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/name": "grafana"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: port}},
		},
	}
	services := i.admin.CoreV1().Services(i.ns)
	old, err := services.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		old.Spec.Ports = svc.Spec.Ports
		_, err = services.Update(ctx, old, metav1.UpdateOptions{})
	} else {
		_, err = services.Create(ctx, svc, metav1.CreateOptions{})
	}
	if err != nil {
		i.t.Fatal(err)
	}
}

// manyBackends makes so many Services, of about 5 KiB each in the documents.
func (i *installation) manyBackends(ctx context.Context, n int) {
	i.t.Helper()
	i.each(n, func(name string) error {
		_, err := i.admin.CoreV1().Services(i.ns).Create(ctx, &corev1.Service{
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
func (i *installation) noMoreBackends(ctx context.Context, n int) {
	i.t.Helper()
	i.each(n, func(name string) error {
		return i.admin.CoreV1().Services(i.ns).Delete(ctx, name, metav1.DeleteOptions{})
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

// document returns what the ConfigMap holds; "" if there is none.
func (i *installation) document(ctx context.Context) string {
	cm, err := i.admin.CoreV1().ConfigMaps(i.ns).Get(ctx, configMapName, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return cm.Data[service.KubernautKey]
}

// stop tells the service to end.
func (i *installation) stop() {
	i.t.Helper()
	bounded.CloseIdleConnections() // for which it would wait
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		i.t.Fatal(err)
	}
}

// ended waits until the service has ended, which must say that all went well.
func (i *installation) ended() {
	i.t.Helper()
	if err := i.cmd.Wait(); err != nil {
		i.t.Errorf("the service ended with %v", err)
	}
}

// adminOf returns a client with every right.
func adminOf(t *testing.T, cp *sim.ControlPlane) kubernetes.Interface {
	t.Helper()
	cfg := cp.RESTConfig()
	cfg.QPS = -1 // no limit
	admin, err := kubernetes.NewForConfig(patient.Wrap(cfg))
	if err != nil {
		t.Fatal(err)
	}
	return admin
}
