// Package kind drives a cluster of kind (https://kind.sigs.k8s.io), whose nodes are
// containers of a Docker engine. It is created for one verification and removed after
// it, even if the harness is killed (guard.go).
package kind

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodes"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/gateway"
	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
)

// Name is the name of this kind of cluster.
const Name = "kind"

// DefaultNodeImage is used if Options names no image.
const DefaultNodeImage = defaults.Image

// Options describe the cluster.
type Options struct {
	// Workers is the number of nodes besides the control plane. Zero: 2. It has no
	// effect if Config lists nodes.
	Workers int
	// NodeImage is the image of the nodes; empty: DefaultNodeImage, which kind pulls.
	NodeImage string
	// Config is a file with a kind configuration
	// (https://kind.sigs.k8s.io/docs/user/configuration/); empty: none.
	Config string
	// Image must be in the Docker engine, to be loaded later; empty: none.
	Image string
	// Agent is the load generator's program, statically linked. The gateway runs it.
	Agent    string
	Progress io.Writer // gets what kind reports; may be nil
	LogDir   string    // for the nodes' logs at the end; empty: they are not kept
}

// Variables for hosts that can't pull kind's own node image: an image that their Docker
// engine has, and a kind configuration.
const (
	NodeImageVariable = "TOOLSET_KIND_NODE_IMAGE"
	ConfigVariable    = "TOOLSET_KIND_CONFIG"
)

// FromEnvironment returns the options that the environment sets.
func FromEnvironment() Options {
	return Options{NodeImage: os.Getenv(NodeImageVariable), Config: os.Getenv(ConfigVariable)}
}

// gatewayPort is the port of the gateway on its node.
const gatewayPort = 39000

const (
	// createTimeout bounds what kind does itself, including the pull of an image.
	createTimeout = 15 * time.Minute
	// readyTimeout bounds the wait for the nodes and for DNS after that.
	readyTimeout = 3 * time.Minute
)

type kindCluster struct {
	name     string
	provider *kindcluster.Provider
	config   *rest.Config
	client   kubernetes.Interface
	gateway  *gateway.Gateway
	port     int    // of the gateway, on this host
	dir      string // for the kubeconfig, since the user's own is not to be changed
	nodes    []nodes.Node
	logDir   string
	guard    *guard
	close    func() error // only the first call has an effect

	loading sync.Mutex
	loaded  map[string]string // images by name, with the digest of what was loaded last
}

// Start brings up a cluster. An error wraps cluster.ErrUnsupported if this host can't.
func Start(ctx context.Context, o Options) (cluster.Cluster, error) {
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if err := checkEngine(ctx); err != nil {
		return nil, err
	}
	if o.Image != "" {
		if err := checkImage(ctx, o.Image); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	config, err := configuration(o.Config, o.Workers, port)
	if err != nil {
		return nil, err
	}
	c := &kindCluster{
		name: "verification-" + strings.ToLower(rand.Text()[:6]), port: port, logDir: o.LogDir,
		provider: kindcluster.NewProvider(kindcluster.ProviderWithDocker(), kindcluster.ProviderWithLogger(logger{o.Progress})),
	}
	c.close = sync.OnceValue(c.remove)
	if c.dir, err = os.MkdirTemp("", "dynamic-toolset-kind-"); err != nil {
		return nil, err
	}
	if c.guard, err = startGuard(c.name, c.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.start(ctx, &o, config); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *kindCluster) start(ctx context.Context, o *Options, config *config) error {
	if err := c.create(ctx, o, config); err != nil {
		return err
	}
	text, err := c.provider.KubeConfig(c.name, false)
	if err != nil {
		return err
	}
	if c.config, err = clientcmd.RESTConfigFromKubeConfig([]byte(text)); err != nil {
		return err
	}
	c.config.QPS, c.config.Burst = 200, 400 // nobody else uses this API server
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return err
	}
	if c.nodes, err = c.provider.ListInternalNodes(c.name); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := awaitReady(ready, c.client); err != nil {
		return err
	}
	if err := c.LoadImage(ctx, agentpod.ImageOf(o.Agent)); err != nil {
		return err
	}
	c.gateway, err = gateway.Start(ctx, gateway.Options{
		Client: c.client, Namespace: cluster.Namespace, Image: agentpod.Image, Port: gatewayPort,
		// It is in the network of the node that has the mapped port, so that neither a
		// proxy nor a network plugin is on the way.
		Edit: func(p *corev1.Pod) {
			p.Spec.HostNetwork, p.Spec.NodeName = true, c.name+"-control-plane"
		},
		Reach: func(ctx context.Context, _ *corev1.Pod, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)))
		},
	})
	return err
}

// create has kind create the nodes. kind can't be told to stop, so if ctx ends, the
// nodes that it works on are removed.
func (c *kindCluster) create(ctx context.Context, o *Options, config *config) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	options := []kindcluster.CreateOption{
		kindcluster.CreateWithV1Alpha4Config(config), kindcluster.CreateWithKubeconfigPath(c.kubeconfig()),
		kindcluster.CreateWithDisplayUsage(false), kindcluster.CreateWithDisplaySalutation(false),
	}
	if o.NodeImage != "" {
		options = append(options, kindcluster.CreateWithNodeImage(o.NodeImage))
	}
	created := make(chan error, 1)
	go func() { created <- c.provider.Create(c.name, options...) }()
	select {
	case err := <-created:
		return explain(err, o.NodeImage)
	case <-ctx.Done():
	}
	// Create soon fails without its nodes. Close removes what it may have made in
	// between.
	removeNodes(c.name)
	<-created
	return fmt.Errorf("creating the kind cluster: %w", context.Cause(ctx))
}

func (*kindCluster) Name() string      { return Name }
func (*kindCluster) Namespace() string { return cluster.Namespace }
func (*kindCluster) Shared() bool      { return false }

func (c *kindCluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

func (c *kindCluster) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return c.gateway.DialContext(ctx, network, address)
}

// Fit changes nothing: this is a cluster like others.
func (*kindCluster) Fit(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, []string, error) {
	return objects, nil, nil
}

// Close removes the cluster. The Docker network "kind" stays, as other clusters use it.
func (c *kindCluster) Close() error { return c.close() }

func (c *kindCluster) remove() error {
	var errs []error
	if c.logDir != "" && len(c.nodes) > 0 {
		if err := c.provider.CollectLogs(c.name, c.logDir); err != nil {
			errs = append(errs, fmt.Errorf("keeping the nodes' logs in %s: %w", c.logDir, err))
		}
	}
	if err := c.provider.Delete(c.name, c.kubeconfig()); err != nil {
		errs = append(errs, fmt.Errorf("removing the kind cluster %s (try: kind delete cluster --name %s): %w", c.name, c.name, err))
	} else {
		c.guard.dismiss() // otherwise it tries again when this process ends
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

func (c *kindCluster) kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// freePort returns a port of this host that is free at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
