package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ErrUnsupported is wrapped by StartCluster's error if this host can't run a cluster.
// The error's text says what is missing, and which setting, flag or package helps.
var ErrUnsupported = errors.New("the simulated cluster cannot run on this machine")

// Cluster is a complete Kubernetes: a control plane with the controller manager and the
// scheduler, and nodes that run pods. [StartCluster] starts one, and [Cluster.Stop]
// ends it. Its methods may be called by several goroutines.
type Cluster struct {
	plane
	dialer *insideDialer
	images imageStore
	// The controller manager and the scheduler, guarded by plane.mu.
	controllers []*process
	outage      bool           // StopAPIServer has stopped them
	nodes       []*clusterNode // plane.mu guards their fields that change
	proxySync   time.Duration  // of kube-proxy's rules; 0: its default
}

// StartCluster starts a cluster, and returns when every node is Ready and the
// ServiceAccount "default" exists, which pods need. It calls [Build] first, which may
// compile for minutes the first time.
//
// ctx bounds the start only. The error wraps [ErrUnavailable] if the binary can't be
// built here, and [ErrUnsupported] if this host can't run a cluster. If a process did
// not start, it has the end of its log. After an error nothing is left running.
func StartCluster(ctx context.Context, opts ...Option) (*Cluster, error) {
	o := newOptions(opts)
	if o.nodes < 1 || o.nodes > maxNodes {
		return nil, fmt.Errorf("a cluster has 1 to %d nodes, not %d", maxNodes, o.nodes)
	}
	if err := supported(); err != nil {
		return nil, err
	}
	if err := o.build(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := &Cluster{plane: plane{kind: "cluster"}, proxySync: o.proxySync}
	if err := c.start(ctx, o); err != nil {
		err = fmt.Errorf("start the simulated cluster: %w", err)
		if c.supervisor != nil {
			err = errors.Join(err, c.Stop())
		}
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o options) error {
	args := []string{"enclose", "--nodes=" + strconv.Itoa(o.nodes),
		"--machine-network=" + machineCIDR, "--pod-network=" + podCIDR, "--service-network=" + serviceCIDR}
	logDir := ""
	if o.logDir != "" {
		var err error
		if logDir, err = filepath.Abs(o.logDir); err != nil {
			return err
		}
		args = append(args, "--logs="+logDir)
	}
	if err := c.open(ctx, o, args...); err != nil {
		return err
	}
	if logDir == "" {
		logDir = filepath.Join(c.Dir(), logsDir)
	}
	c.logDir, c.logArg = logDir, logsDir
	var err error
	if c.dialer, err = newInsideDialer(c.Dir()); err != nil {
		return err
	}
	outside := c.supervisor.greeting.Outside
	c.dialAPI = func(ctx context.Context) (net.Conn, error) {
		return c.dialer.dial(ctx, "tcp", net.JoinHostPort(outside, strconv.Itoa(apiServerPort)))
	}
	c.relay = &apiRelay{port: c.port.number, dial: c.dialAPI}
	c.apiServerArgs = clusterAPIServerFlags(outside, o.apiServerFlags)
	c.images.dir = filepath.Join(c.Dir(), imagesDir)
	if err := os.MkdirAll(c.images.dir, 0o755); err != nil {
		return err
	}
	for _, info := range c.supervisor.greeting.Nodes {
		c.nodes = append(c.nodes, &clusterNode{nodeInfo: info})
	}
	if err := c.writeComponentCredentials(); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	if err := c.startComponents(ctx); err != nil {
		return err
	}
	return c.waitNodes(ctx)
}

// writeComponentCredentials writes a certificate for every component, of the user that
// Kubernetes expects it to be.
func (c *Cluster) writeComponentCredentials() error {
	inside := "https://" + netip.AddrPortFrom(netip.MustParseAddr(c.supervisor.greeting.Outside), apiServerPort).String()
	kubeconfig := func(file, user string, groups ...string) error {
		p, err := c.authority.client(user, groups)
		if err != nil {
			return err
		}
		return c.writeKubeconfig(filepath.Join(c.Dir(), file), inside, user, p)
	}
	for _, role := range []string{controllerManagerRole, schedulerRole, proxyRole} {
		if err := kubeconfig(role+".kubeconfig", "system:"+role); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := kubeconfig(n.file("kubeconfig"), "system:node:"+n.Name, "system:nodes"); err != nil {
			return err
		}
		own, err := c.authority.kubelet(n.Name, n.Address)
		if err != nil {
			return err
		}
		if err := c.writeFiles(map[string][]byte{n.file("crt"): own.cert, n.file("key"): own.key}); err != nil {
			return err
		}
	}
	client, err := c.authority.client("kube-apiserver-kubelet-client", []string{"system:masters"})
	if err != nil {
		return err
	}
	return c.writeFiles(map[string][]byte{kubeletCertFile: client.cert, kubeletKeyFile: client.key})
}

// startComponents starts everything but etcd and the API server, which must be running:
// without it, the others would back off.
func (c *Cluster) startComponents(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		if err := c.startNode(ctx, n); err != nil {
			return err
		}
	}
	return c.startControllers(ctx)
}

// startControllers starts the controller manager and the scheduler. plane.mu must be
// held.
func (c *Cluster) startControllers(ctx context.Context) error {
	for role, args := range map[string][]string{
		controllerManagerRole: controllerManagerFlags(controllerManagerRole + ".kubeconfig"),
		schedulerRole:         controllerFlags(schedulerRole + ".kubeconfig"),
	} {
		p, err := c.run(ctx, request{Role: role, Args: args})
		if err != nil {
			return err
		}
		c.controllers = append(c.controllers, p)
	}
	return nil
}

// StopAPIServer kills the API server like that of a [ControlPlane], and also the
// controller manager and the scheduler. In a real cluster these end when they can't
// renew their lease for ten seconds, and restart when the API server is back. Here they
// have no lease, and a controller manager that survives an outage would take every node
// for dead before it hears from it again. Kubelets, kube-proxies and pods go on
// running.
func (c *Cluster) StopAPIServer() error {
	err := c.plane.StopAPIServer()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return err
	}
	for _, p := range c.controllers {
		err = errors.Join(err, c.supervisor.stop(p))
	}
	c.controllers = nil
	c.outage = true
	return err
}

// StartAPIServer starts again what StopAPIServer has stopped, and returns when the API
// server is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	if err := c.plane.StartAPIServer(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.outage {
		return nil
	}
	c.outage = false
	return c.startControllers(ctx)
}

// OneUser reports whether all containers run as the same user: if an ordinary user
// without subordinate ids has started the cluster, runAsUser, runAsGroup and fsGroup
// have no effect.
func (c *Cluster) OneUser() bool { return c.supervisor.greeting.OneUser }

// Stop ends every process, and removes the state directory. A second call does nothing.
func (c *Cluster) Stop() error {
	return errors.Join(c.plane.Stop(), c.dialer.close())
}
