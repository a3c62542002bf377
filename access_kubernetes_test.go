package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// An authorizing is the service, as a process, with --auth=token.
type authorizing struct {
	t              *testing.T
	ctx            context.Context
	admin          kubernetes.Interface
	ns             string
	url, metricURL string
}

// token makes a ServiceAccount, if it is not there, and returns a token of it.
func (g *authorizing) token(account string, audiences ...string) string {
	g.t.Helper()
	accounts := g.admin.CoreV1().ServiceAccounts(g.ns)
	accounts.Create(g.ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}) //nolint:errcheck // it may be there; the token tells
	r, err := accounts.CreateToken(g.ctx, account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	return r.Status.Token
}

// bind gives a ServiceAccount a ClusterRole.
func (g *authorizing) bind(account, role string) {
	g.t.Helper()
	_, err := g.admin.RbacV1().ClusterRoleBindings().Create(g.ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account + "-" + strings.ReplaceAll(role, ":", "-")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: g.ns, Name: account}},
	}, metav1.CreateOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
}

// role makes a ClusterRole of one rule.
func (g *authorizing) role(name string, rule rbacv1.PolicyRule) {
	g.t.Helper()
	if _, err := g.admin.RbacV1().ClusterRoles().Create(g.ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{}); err != nil {
		g.t.Fatal(err)
	}
}

// ask returns the answer to a GET with a token; "" for none.
func (g *authorizing) ask(url, token string) (int, string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.ctx, http.MethodGet, url, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := bounded.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// becomes asks until the answer is this one.
func (g *authorizing) becomes(url, token string, status int, text string) {
	g.t.Helper()
	var got int
	var body string
	for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got, body = g.ask(url, token); got == status && strings.Contains(body, text) {
			return
		}
	}
	g.t.Fatalf("%s never answers %d %q; last: %d %s", url, status, text, got, body)
}

// The whole service with --auth=token, as a process with a service account of its
// own, against a real API server: what is missing is named, what is granted works,
// what is revoked ends, and nobody gets in while the API server is down.
func TestServeWithTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	t.Parallel() // it mostly waits
	cp := simtest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*testenv.Patience)
	defer cancel()
	g := &authorizing{t: t, ctx: ctx, admin: adminOf(t, cp), ns: "kubernaut-system"}
	if _, err := g.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.ns}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const account, audience = "dynamic-toolset", "dynamic-toolset"
	g.role("toolset", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	g.token(account)
	g.bind(account, "toolset")

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cp.WriteKubeconfigAs(kubeconfig, fmt.Sprintf("system:serviceaccount:%s:%s", g.ns, account)); err != nil {
		t.Fatal(err)
	}
	api, metricsPort := testenv.FreeAddress(t), testenv.FreeAddress(t)
	g.url, g.metricURL = "http://"+api, "http://"+metricsPort+"/metrics"
	cmd := command(t, "--kubeconfig", kubeconfig, "--listen", api, "--metrics-listen", metricsPort, "--shutdown-propagation-delay", "200ms",
		"--configmap-enabled=false", "--health-checks=false", "--auth=token", "--auth-audiences="+audience, "--auth-cache-ttl=3s", "--auth-metrics", "--log-level=debug")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	list, one := g.url+"/api/v1/toolsets", g.url+"/api/v1/toolsets/nothing"

	g.becomes(g.url+"/ready", "", 200, "")
	g.becomes(g.url+"/version", "", 200, "")
	agent := g.token("agent", audience)
	g.becomes(list, "", 401, "needs a bearer token")
	g.becomes(list, agent, 503, `grant it the verb \"create\" on the resource \"tokenreviews\"`)
	g.bind(account, "system:auth-delegator")
	g.becomes(list, agent, 403, "may not get /dynamic-toolset/api/v1/toolsets.")
	g.becomes(list, g.token("agent"), 401, "not valid here")
	g.becomes(list, "garbage", 401, "not valid here")

	g.role("reader", rbacv1.PolicyRule{NonResourceURLs: []string{"/dynamic-toolset/*"}, Verbs: []string{"get"}})
	g.bind("agent", "reader")
	g.becomes(list, agent, 200, `"total":0`)
	g.becomes(one, agent, 404, "No toolset has the name")

	g.role("scraper", rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}})
	scraper := g.token("prometheus", audience)
	g.bind("prometheus", "scraper")
	g.becomes(g.metricURL, "", 401, "")
	g.becomes(g.metricURL, scraper, 200, `toolset_kubernetes_forbidden_total{verb="create",resource="tokenreviews"}`)
	g.becomes(list, scraper, 403, "")

	if err := g.admin.RbacV1().ClusterRoleBindings().Delete(ctx, "agent-reader", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	g.becomes(list, agent, 403, "")
	g.bind("agent", "reader")
	g.becomes(list, agent, 200, "")

	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	g.becomes(list, agent, 503, "The cause is in the service's log.")
	if status, body := g.ask(one, agent); status != 503 {
		t.Errorf("without the API server: %d %s", status, body)
	}

	bounded.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
	text := log.String()
	for _, want := range []string{"Callers can't be reviewed", `the resource "tokenreviews"`, "system:auth-delegator", "Callers can be reviewed again"} {
		if !strings.Contains(strings.ReplaceAll(text, `\"`, `"`), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	for _, token := range []string{agent, scraper} {
		if strings.Contains(text, token) {
			t.Error("a token is in the log")
		}
	}
}
