package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// accounts are the ServiceAccounts of a namespace, and their rights.
type accounts struct {
	t  *testing.T
	cp *plane
	ns string
}

// token creates a ServiceAccount, if it does not exist, and returns a token of it.
func (a *accounts) token(account string, audiences ...string) string {
	a.t.Helper()
	accounts := a.cp.admin.CoreV1().ServiceAccounts(a.ns)
	accounts.Create(a.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}) //nolint:errcheck // it may be there; the token tells
	r, err := accounts.CreateToken(a.t.Context(), account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	return r.Status.Token
}

// bind gives a ServiceAccount a ClusterRole.
func (a *accounts) bind(account, role string) {
	a.t.Helper()
	_, err := a.cp.admin.RbacV1().ClusterRoleBindings().Create(a.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account + "-" + strings.ReplaceAll(role, ":", "-")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: a.ns, Name: account}},
	}, metav1.CreateOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
}

// role makes a ClusterRole of one rule.
func (a *accounts) role(name string, rule rbacv1.PolicyRule) {
	a.t.Helper()
	if _, err := a.cp.admin.RbacV1().ClusterRoles().Create(a.t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{}); err != nil {
		a.t.Fatal(err)
	}
}

// The whole service with --auth=token, as a process with its own service account, at a
// real API server. A missing right is named, a granted one works, a revoked one ends, and
// nobody new gets in while the API server is down.
func TestServeWithTokens(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	a := &accounts{t, cp, "access-system"}
	cp.namespace(t, a.ns)
	const account, audience = "dynamic-toolset", "dynamic-toolset"
	a.role("access-toolset", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	a.token(account)
	a.bind(account, "access-toolset")
	kubeconfig := cp.kubeconfig(t, fmt.Sprintf("system:serviceaccount:%s:%s", a.ns, account))
	relay := throughRelay(t, kubeconfig)
	p := serve(t, "--kubeconfig", kubeconfig, "--configmap-enabled=false", "--health-checks=false",
		"--auth=token", "--auth-audiences="+audience, "--auth-cache-ttl=3s", "--auth-metrics", "--log-level=debug")
	const list, one = "/api/v1/toolsets", "/api/v1/toolsets/nothing"

	p.answers("/ready", 200)
	p.answers("/version", 200)
	agent := a.token("agent", audience)
	p.answers(list, 401, "needs a bearer token")
	p.answers("/api/v1/services/x/y/explain", 401, "needs a bearer token")
	p.as(agent).answers(list, 503, `grant it the verb \"create\" on the resource \"tokenreviews\"`)
	a.bind(account, "system:auth-delegator")
	p.as(agent).answers(list, 403, "may not get /dynamic-toolset/api/v1/toolsets.")
	p.as(a.token("agent")).answers(list, 401, "not valid here")
	p.as("garbage").answers(list, 401, "not valid here")

	a.role("access-reader", rbacv1.PolicyRule{NonResourceURLs: []string{"/dynamic-toolset/*"}, Verbs: []string{"get"}})
	a.bind("agent", "access-reader")
	p.as(agent).answers(list+"?namespace="+a.ns, 200, `"total":0`)
	p.as(agent).answers(one, 404, "No toolset has the name")
	p.as(agent).answers("/api/v1/services/access-nowhere/y/explain", 404, "There is no Service")

	a.role("access-scraper", rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}})
	scraper := a.token("prometheus", audience)
	a.bind("prometheus", "access-scraper")
	p.answers("/metrics", 401)
	p.as(scraper).answers("/metrics", 200, `toolset_kubernetes_forbidden_total{verb="create",resource="tokenreviews"}`)
	p.as(scraper).answers(list, 403)
	p.as(scraper).answers("/api/v1/services/x/y/explain", 403, "may not get /dynamic-toolset/api/v1/services/*.")

	if err := cp.admin.RbacV1().ClusterRoleBindings().Delete(t.Context(), "agent-access-reader", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.as(agent).answers(list, 403)
	a.bind("agent", "access-reader")
	p.as(agent).answers(list, 200)

	relay.cut()
	p.as(agent).answers(list, 503, "The cause is in the service's log.")
	if status, body := p.as(agent).ask(http.MethodGet, one); status != 503 {
		t.Errorf("without the API server: %d %s", status, body)
	}

	p.stop()
	text := p.log.text()
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
