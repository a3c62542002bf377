package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: one, context: {cluster: c, user: u}}, {name: broken, context: {cluster: none, user: u}}]
`

func TestConnect(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	dir := t.TempDir()
	put(t, dir+"/good", kubeconfig+"current-context: one\n")
	put(t, dir+"/nocontext", kubeconfig)
	put(t, dir+"/bad", "kind: [\x1b")
	for _, c := range []struct{ file, context, want string }{
		{"", "", "--manifests DIR"},
		{"", "x", "needs --kubeconfig"},
		{dir + "/none", "", "no such file"},
		{dir + "/bad", "", "not readable as one"},
		{dir + "/nocontext", "", `"broken", "one"`},
		{dir + "/good", "two", `no context "two"; it has: "broken", "one"`},
		{dir + "/good", "broken", `context "broken"`},
	} {
		_, err := Connect(c.file, c.context, "1")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q %q: %v, want %q", c.file, c.context, err, c.want)
		}
	}
	if _, err := Connect("", "", "1"); !errors.Is(err, errNoCluster) {
		t.Errorf("%v", err)
	}
	for _, c := range []string{"", "one"} {
		cfg, err := Connect(dir+"/good", c, "1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Host != "https://192.0.2.1:6443" || cfg.UserAgent != "dynamic-toolset/1.2.3" || cfg.QPS != clientQPS || cfg.Burst != clientBurst || cfg.Timeout != 0 || cfg.Dial == nil {
			t.Errorf("%+v", cfg)
		}
	}
	if cfg, err := Connect(dir+"/nocontext"+string(os.PathListSeparator)+dir+"/good", "", "1"); err != nil || cfg.BearerToken != "t" {
		t.Errorf("a list of files: %v", err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	if _, err := os.Stat("/var/run/secrets/kubernetes.io/serviceaccount/token"); err != nil {
		if _, err := Connect("", "", "1"); err == nil || !strings.Contains(err.Error(), "automountServiceAccountToken") {
			t.Errorf("a pod without a token: %v", err)
		}
	}
}

func TestExplain(t *testing.T) {
	services := schema.GroupResource{Resource: "services"}
	all, one := Call{Verbs: "list", Resource: "services", Host: "https://h:1"}, Call{Verbs: "list", Resource: "services", Namespace: "n", Host: "https://h:1"}
	configMap := Call{Verbs: "create or patch", Resource: "configmaps", Name: "cm", Namespace: "n", Host: "https://h:1"}
	const account, person = "system:serviceaccount:n:toolset", "jane@example.org"
	denied := func(user, verb, resource, where string) error {
		return apierrors.NewForbidden(services, "", fmt.Errorf("User %q cannot %s resource %q in API group \"\" %s: RBAC: why\n\x1b[1m", user, verb, resource, where))
	}
	terminating := apierrors.NewForbidden(services, "", errors.New("it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for _, c := range []struct {
		call Call
		err  error
		kind error
		want []string
	}{
		{all, denied(account, "list", "services", "at the cluster scope"), ErrForbidden, []string{
			"the service account " + account + " may not list services in the whole cluster", `the verb "list" on the resource "services" by a ClusterRole`,
			"deploy/base/rbac.yaml", "--namespaces", "RBAC: why [1m"}},
		{one, denied(account, "watch", "services", `in the namespace "n"`), ErrForbidden, []string{
			"may not watch services in namespace n", "a Role in that namespace", "deploy/overlays/namespaced"}},
		{configMap, denied(person, "create", "configmaps", `in the namespace "n"`), ErrForbidden, []string{
			`this service's user may not create configmaps "cm" in namespace n`, `the verb "create" on the resource "configmaps" by a Role`,
			"deploy/components/configmap-writer/rbac.yaml", "--configmap-enabled=false"}},
		{one, denied("system:anonymous", "list", "services", `in the namespace "n"`), ErrUnauthorized, []string{"h:1", "no credentials", "token"}},
		{configMap, apierrors.NewForbidden(services, "", errors.New("exceeded quota: q")), ErrForbidden, []string{"refuses to create or patch configmaps", "policy", "exceeded quota: q"}},
		{configMap, terminating, ErrNoNamespace, []string{`namespace "n" is being deleted`}},
		{one, apierrors.NewUnauthorized("no"), ErrUnauthorized, []string{"h:1", "401"}},
		{one, fmt.Errorf("dial: %w", syscall.ECONNREFUSED), ErrUnreachable, []string{"nothing listens at https://h:1"}},
		{one, &net.DNSError{Err: "no such host", Name: "h"}, ErrUnreachable, []string{"cannot be resolved"}},
		{one, context.DeadlineExceeded, ErrUnreachable, []string{"in time"}},
		{one, apierrors.NewTimeoutError("x", 1), ErrUnreachable, []string{"in time"}},
		{one, apierrors.NewServiceUnavailable("x"), ErrUnreachable, []string{"cannot be used now"}},
		{one, apierrors.NewInternalError(errors.New("etcd")), ErrUnreachable, []string{"etcd"}},
		{one, errors.New("x509: unknown authority"), ErrUnreachable, []string{"x509"}},
		{one, apierrors.NewBadRequest("x"), nil, []string{"to list services failed"}},
	} {
		got := c.call.Explain(c.err)
		if c.kind != nil && !errors.Is(got, c.kind) || !errors.Is(got, c.err) {
			t.Errorf("%v: kind of %v", c.err, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got.Error(), want) {
				t.Errorf("%q does not say %q", got, want)
			}
		}
		if right, ok := errors.AsType[*MissingRight](got); ok && (strings.Contains(right.Public(), person) || strings.Contains(right.Public(), "h:1")) {
			t.Errorf("clients are told: %q", right.Public())
		}
		if strings.ContainsAny(got.Error(), "\n\x1b") {
			t.Errorf("%q", got)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"a\r\nb\x1b[31m\u202e":     "a b [31m",
		"\xff\xfe":                 "",
		"grün":                     "grün",
		strings.Repeat("ü", 10000): strings.Repeat("ü", 250) + "...",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q", in[:min(len(in), 20)], got[:min(len(got), 40)])
		}
	}
}

// What client-go logs by itself goes to our logger.
func TestClientLogs(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	RedirectClientLogs(zap.New(core))
	defer klog.ClearLogger()
	klog.Background().WithValues("who", "me").WithName("part").Info("something\x1b", "n", 1)
	klog.ErrorS(errors.New("bad\nthing"), "failed", "odd")
	klog.V(5).Info("not wanted")
	klog.Warningf("old style %d", 1)
	all := logs.All()
	if len(all) != 3 {
		t.Fatalf("%v", all)
	}
	if e := all[0]; e.Message != "something" || e.LoggerName != "client-go" || e.ContextMap()["logger"] != "part" || e.ContextMap()["who"] != "me" || e.ContextMap()["n"] != "1" {
		t.Errorf("%+v", e)
	}
	if e := all[1]; e.Level != zap.ErrorLevel || e.ContextMap()["error"] != "bad thing" {
		t.Errorf("%+v", e)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
