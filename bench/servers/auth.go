package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"golang.org/x/sync/errgroup"

	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
	"kubernaut.io/dynamic-toolset/harness/sim"
)

const (
	// authService and authCaller are ServiceAccounts in authNamespace: those of the service
	// and of its caller.
	authNamespace = "kubernaut-system"
	authService   = "dynamic-toolset"
	authCaller    = "holmesgpt"
	authAudience  = "dynamic-toolset"
	callTimeout   = 2 * time.Minute // a call takes milliseconds, but longer on a busy machine
	creators      = 16              // largest number of calls at once when creating Services
)

// authentication measures the cost of authentication. While an API server runs, it measures
// the reference, ours, and ours with --auth=token.
func (m *session) authentication(ctx context.Context) (err error) {
	if !m.auth {
		return nil
	}
	say("starting etcd and the API server")
	cp, err := sim.StartControlPlane(ctx)
	if errors.Is(err, sim.ErrUnavailable) {
		m.result.Missing = append(m.result.Missing, "authentication: "+err.Error()+"; --auth=false leaves it out")
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	api, err := fixtures.Client(cp.RESTConfig(), callTimeout)
	if err != nil {
		return err
	}
	token, err := grant(ctx, api)
	if err != nil {
		return fmt.Errorf("prepare the API server: %w", err)
	}
	if err := fill(ctx, api); err != nil {
		return fmt.Errorf("create the Services: %w", err)
	}
	kubeconfig := filepath.Join(m.dir, "kubeconfig")
	if err := cp.WriteKubeconfigAs(kubeconfig, "system:serviceaccount:"+authNamespace+":"+authService,
		"system:serviceaccounts", "system:serviceaccounts:"+authNamespace); err != nil {
		return err
	}
	args := []string{"--kubeconfig=" + kubeconfig, "--configmap-enabled=false"}
	names := []string{server.Ours, comparison.Reference, comparison.OursAuthenticated}
	entries := map[string]*entrant{}
	defer func() {
		for _, e := range entries {
			err = errors.Join(err, e.server.Stop())
		}
	}()
	if entries[server.Ours], err = m.enterInto(ctx, entries, server.Ours, server.Options{Args: args}, nil); err != nil {
		return err
	}
	ours := entries[server.Ours].answers
	if _, err = m.enterInto(ctx, entries, comparison.Reference, server.Options{Answers: ours}, ours); err != nil {
		return err
	}
	authenticated, err := m.enter(ctx, server.Ours, server.Options{
		Args:   append(args, "--auth=token", "--auth-audiences="+authAudience),
		Fields: [][2]string{{"Authorization", "Bearer " + token}},
	}, nil)
	if err != nil {
		return fmt.Errorf("with authentication: %w", err)
	}
	authenticated.name = comparison.OursAuthenticated
	entries[authenticated.name] = authenticated
	// The bodies differ in the time at which the toolsets were found, but not in length.
	if a, b := ours[server.ByName].Size, authenticated.answers[server.ByName].Size; a != b {
		return fmt.Errorf("with authentication an answer has %d bytes instead of %d", b, a)
	}
	m.describe(authenticated)

	w := workload{name: comparison.ByNameAuthenticated, answer: server.ByName, title: "GET by name, %s, next to an API server"}
	m.result.Workloads = append(m.result.Workloads, w.describe(ours[w.answer]))
	all, err := m.closed(ctx, []workload{w}, names, entries)
	m.result.Throughput = append(m.result.Throughput, all...)
	return err
}

// enterInto starts a server as enter does, and adds it to entries, which are stopped later.
func (m *session) enterInto(ctx context.Context, entries map[string]*entrant, name string, o server.Options, ours server.Set) (*entrant, error) {
	e, err := m.enter(ctx, name, o, ours)
	if err == nil {
		entries[name] = e
	}
	return e, err
}

// grant gives the service the rights of deploy/ with authentication, and the caller those of
// docs/authentication.md. It returns a token of the caller.
func grant(ctx context.Context, api kubernetes.Interface) (string, error) {
	if _, err := api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: authNamespace}}, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	for _, name := range []string{authService, authCaller} {
		if _, err := api.CoreV1().ServiceAccounts(authNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return "", err
		}
	}
	for role, rule := range map[string]rbacv1.PolicyRule{
		authService: {APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}},
		authCaller:  {NonResourceURLs: []string{"/dynamic-toolset/api/v1/*"}, Verbs: []string{"get"}},
	} {
		if _, err := api.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{}); err != nil {
			return "", err
		}
	}
	for name, b := range map[string][2]string{
		"service": {authService, authService}, "reviews": {authService, "system:auth-delegator"}, "caller": {authCaller, authCaller},
	} {
		if _, err := api.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "bench-" + name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: authNamespace, Name: b[0]}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: b[1]},
		}, metav1.CreateOptions{}); err != nil {
			return "", err
		}
	}
	t, err := api.CoreV1().ServiceAccounts(authNamespace).CreateToken(ctx, authCaller,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{authAudience}}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return t.Status.Token, nil
}

// fill creates the Services of the same toolsets as in all other measurements.
func fill(ctx context.Context, api kubernetes.Interface) error {
	for _, name := range server.Namespaces() {
		if _, err := api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	for _, svc := range server.Services() {
		group.Go(func() error {
			_, err := api.CoreV1().Services(svc.Namespace).Create(ctx, svc, metav1.CreateOptions{})
			return err
		})
	}
	return group.Wait()
}
