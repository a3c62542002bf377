package sim

import (
	"context"
	"io"
	"os"
	"time"
)

// Option is an option of [StartControlPlane] and [StartCluster].
type Option func(*options)

type options struct {
	progress       io.Writer
	binary         string
	logDir         string
	apiServerFlags []string
	nodes          int
	proxySync      time.Duration
}

// defaultNodes is enough for pods to connect across nodes.
const defaultNodes = 2

func newOptions(opts []Option) options {
	o := options{progress: os.Stderr, nodes: defaultNodes}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// build builds the binary if none is given.
func (o *options) build(ctx context.Context) error {
	if o.binary != "" {
		return nil
	}
	var err error
	o.binary, err = Build(ctx, o.progress)
	return err
}

// WithNodes sets the number of nodes of a cluster, from 1 to 20. The default is 2. A
// control plane alone has none.
func WithNodes(n int) Option { return func(o *options) { o.nodes = n } }

// WithProxySync has kube-proxy change a node's rules at most once in d (its minSyncPeriod),
// as in a cluster with many Services: a node goes on sending connections to a pod for up to
// d after the pod has left the endpoints. 0: the default, 1 s.
func WithProxySync(d time.Duration) Option { return func(o *options) { o.proxySync = d } }

// WithProgress writes the progress of the compiler to w instead of standard error; nil:
// nowhere.
func WithProgress(w io.Writer) Option { return func(o *options) { o.progress = w } }

// WithBinary uses this binary, a result of [Build], instead of calling Build.
func WithBinary(path string) Option { return func(o *options) { o.binary = path } }

// WithLogDir writes the logs of the processes (etcd.log, kube-apiserver.log and so on)
// to this directory, which must exist, and keeps them. By default they are in the state
// directory, and removed with it.
func WithLogDir(dir string) Option { return func(o *options) { o.logDir = dir } }

// WithAPIServerFlags adds flags to the command line of kube-apiserver, for example
// "--etcd-compaction-interval=2s" so that watches see expired resource versions. They
// are last, and so override those of this package.
func WithAPIServerFlags(flags ...string) Option {
	return func(o *options) { o.apiServerFlags = append(o.apiServerFlags, flags...) }
}
