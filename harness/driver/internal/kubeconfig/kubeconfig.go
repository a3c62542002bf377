// Package kubeconfig drives an existing cluster, which others use. It creates a
// namespace and deletes it at the end. Everything else goes into it.
package kubeconfig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/gateway"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// Name is the name of this kind of cluster.
const Name = "kubeconfig"

const (
	callTimeout = 15 * time.Second
	// goneTimeout bounds the wait until the namespace is gone, and so its pods.
	goneTimeout = 3 * time.Minute
)

// owner labels the namespaces of this driver.
var owner = map[string]string{"app.kubernetes.io/managed-by": "toolset-verification"}

// Options say which cluster to use.
type Options struct {
	Kubeconfig string // file; empty: $KUBECONFIG or ~/.kube/config, as kubectl does
	Context    string // empty: the current context
	// Namespace is created, and deleted at the end; empty: a random name.
	Namespace string
	// AgentImage is the load generator's image, which the cluster must be able to pull.
	AgentImage string
}

// Target is a cluster that was chosen, but not used yet.
type Target struct {
	options Options
	config  *rest.Config
	// Context and Server identify the cluster; Namespace will be created.
	Context, Server, Namespace string
}

// Choose finds the cluster that the options mean, without a request to it.
func Choose(o Options) (*Target, error) {
	if o.AgentImage == "" {
		return nil, errors.New("an existing cluster pulls its images: name that of the load generator, pushed to a registry of yours, with --agent-image (TARGET=loadagent scripts/image makes it)")
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig can't be read: %w", err)
	}
	t := &Target{options: o, Context: o.Context, Namespace: o.Namespace}
	if t.Context == "" {
		t.Context = raw.CurrentContext
	}
	if t.Context == "" && len(raw.Contexts) == 0 {
		// A pod without a kubeconfig uses its ServiceAccount, as kubectl does.
		if t.config, err = rest.InClusterConfig(); err == nil {
			t.Context = inCluster
			return t, t.complete()
		}
	}
	if _, ok := raw.Contexts[t.Context]; !ok {
		var have []string
		for name := range raw.Contexts {
			have = append(have, name)
		}
		return nil, fmt.Errorf("the kubeconfig has no context %q; choose one with --context: it has %s", t.Context, format.Names(have))
	}
	if t.config, err = loader.ClientConfig(); err != nil {
		return nil, fmt.Errorf("the kubeconfig can't be used: %w", err)
	}
	return t, t.complete()
}

// inCluster stands for a context where there is none.
const inCluster = "(in the cluster)"

// Removal returns the command that deletes the namespace, should it be left.
func (t *Target) Removal() string {
	if t.Context == inCluster {
		return "kubectl delete namespace " + t.Namespace
	}
	return "kubectl --context " + t.Context + " delete namespace " + t.Namespace
}

// complete sets what does not depend on where the configuration is from.
func (t *Target) complete() error {
	t.config.Timeout, t.config.QPS, t.config.Burst = 0, 50, 100 // each call has its own timeout
	t.Server = t.config.Host
	if t.Namespace == "" {
		t.Namespace = "toolset-verification-" + strings.ToLower(rand.Text()[:6])
	}
	if wrong := validation.IsDNS1123Label(t.Namespace); len(wrong) > 0 {
		return fmt.Errorf("the namespace %q can't be: %s", t.Namespace, strings.Join(wrong, "; "))
	}
	return nil
}

type existing struct {
	target  *Target
	client  kubernetes.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	forward *gateway.Forwarder
	gateway *gateway.Gateway
	close   func() error // only the first call has an effect
}

// Start creates the namespace, and in it the gateway.
func Start(ctx context.Context, t *Target) (cluster.Cluster, error) {
	e := &existing{target: t}
	var err error
	if e.client, err = kubernetes.NewForConfig(t.config); err != nil {
		return nil, err
	}
	found, err := discovery.NewDiscoveryClientForConfig(t.config)
	if err != nil {
		return nil, err
	}
	e.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	e.close = sync.OnceValue(e.remove)
	if err := e.makeNamespace(ctx); err != nil {
		return nil, err
	}
	e.forward = gateway.NewForwarder(e.client, t.config)
	e.gateway, err = gateway.Start(ctx, gateway.Options{
		Client: e.client, Namespace: t.Namespace, Image: t.options.AgentImage, Reach: e.forward.Reach,
	})
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// makeNamespace creates the namespace. It does not take an existing one, as the content
// would be deleted at the end.
func (e *existing) makeNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := e.target.Namespace
	_, err := e.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: owner}}, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("there is a namespace %s already, and it would be deleted at the end: name another one with --namespace, or none", name)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the user of the context %s may not create namespaces, and nothing may be done outside of one of our own: %w", e.target.Context, err)
	case err != nil:
		return fmt.Errorf("create the namespace %s: %w", name, err)
	}
	return nil
}

func (*existing) Name() string        { return Name }
func (e *existing) Namespace() string { return e.target.Namespace }
func (*existing) Shared() bool        { return true }
func (*existing) Logs() string        { return "" }

func (e *existing) RESTConfig() *rest.Config { return rest.CopyConfig(e.target.config) }

func (e *existing) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return e.gateway.DialContext(ctx, network, address)
}

func (*existing) LoadImage(_ context.Context, image cluster.Image) error {
	return fmt.Errorf("%w: an existing cluster pulls its images: push %s to a registry of yours, and name it with --image", cluster.ErrUnsupported, image.Name)
}

// Close deletes the namespace, and waits until it is gone.
func (e *existing) Close() error { return e.close() }

func (e *existing) remove() error {
	if e.forward != nil {
		e.forward.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), goneTimeout)
	defer cancel()
	namespaces, name := e.client.CoreV1().Namespaces(), e.target.Namespace
	err := wait.PollUntilContextCancel(ctx, 500*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		n, err := namespaces.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err == nil && n.DeletionTimestamp == nil {
			err = namespaces.Delete(ctx, name, metav1.DeleteOptions{})
		}
		if apierrors.IsForbidden(err) {
			return false, err
		}
		return false, nil // other errors may be temporary
	})
	if err != nil {
		return fmt.Errorf("the namespace %s is still there; delete it: %s: %w", name, e.target.Removal(), err)
	}
	return nil
}
