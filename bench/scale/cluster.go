package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/harness/sim"
)

// account is the service's user. As in deploy/, it may list and watch Services, with
// --workload-evidence what makes their pods, and nothing else. API Priority and Fairness limits its requests, but not those of an administrator.
const account = "system:serviceaccount:kubernaut-system:dynamic-toolset"

// callTimeout bounds each call to the API server.
const callTimeout = 30 * time.Second

// A testCluster is the API server with the Services.
type testCluster struct {
	client     *kubernetes.Clientset
	watcher    *kubernetes.Clientset // without a timeout
	kubeconfig string                // file for the service
	version    string                // of Kubernetes
	close      func() error
}

// open starts an API server, or connects to that of --kubeconfig.
func (s *settings) open(ctx context.Context, dir string) (*testCluster, error) {
	if s.kubeconfig != "" {
		cfg, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("--kubeconfig: %w", err)
		}
		c := &testCluster{kubeconfig: s.kubeconfig, close: func() error { return nil }}
		if err := c.connect(cfg); err != nil {
			return nil, err
		}
		return c, nil
	}
	say("starting etcd and the API server")
	cp, err := sim.StartControlPlane(ctx)
	if err != nil {
		return nil, err
	}
	c := &testCluster{kubeconfig: filepath.Join(dir, "kubeconfig"), close: cp.Stop}
	err = c.connect(cp.RESTConfig())
	if err == nil {
		err = errors.Join(
			c.grant(ctx, s.workloads),
			cp.WriteKubeconfigAs(c.kubeconfig, account, "system:serviceaccounts", "system:serviceaccounts:kubernaut-system"),
		)
	}
	if err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	return c, nil
}

func (c *testCluster) connect(cfg *rest.Config) (err error) {
	if c.client, err = fixtures.Client(cfg, callTimeout); err != nil {
		return err
	}
	if c.watcher, err = fixtures.Client(cfg, 0); err != nil {
		return err
	}
	v, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	c.version = v.GitVersion
	return nil
}

// grant gives account its rights.
func (c *testCluster) grant(ctx context.Context, workloads bool) error {
	meta := metav1.ObjectMeta{Name: "dynamic-toolset"}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}}}
	if workloads {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets", "daemonsets"}, Verbs: []string{"list", "watch"}})
	}
	_, err := c.client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	_, err = c.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: account}},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// fill creates the Services and workloads of the plan and returns how long that took.
func (c *testCluster) fill(ctx context.Context, p *fixtures.Plan) (time.Duration, error) {
	each := ""
	if p.Workloads {
		each = ", with a Deployment each,"
	}
	say("creating %d Services%s in %d namespaces", p.Services, each, len(p.Namespaces()))
	began := time.Now()
	n, err := p.Fill(ctx, c.client, say)
	d := time.Since(began)
	if err == nil {
		say("created %d Services in %v", n, d.Round(100*time.Millisecond))
	}
	return d, err
}
