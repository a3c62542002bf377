package sim

import (
	"context"
	"io"
	"os"
)

// Option changes how [StartControlPlane] and [StartCluster] work.
type Option func(*options)

type options struct {
	progress       io.Writer
	binary         string
	logDir         string
	apiServerFlags []string
	nodes          int
}

// defaultNodes is enough for pods to meet across machines.
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

// WithNodes sets the number of nodes of a cluster, 1 to 20, by default 2. A
// control plane alone has none.
func WithNodes(n int) Option { return func(o *options) { o.nodes = n } }

// WithProgress sends the lines written while the binary is compiled to w instead
// of standard error; nil drops them.
func WithProgress(w io.Writer) Option { return func(o *options) { o.progress = w } }

// WithBinary uses this binary (a result of [Build]) instead of calling Build.
func WithBinary(path string) Option { return func(o *options) { o.binary = path } }

// WithLogDir writes the logs of the processes (etcd.log, kube-apiserver.log and so
// on) to this directory, which must exist, and leaves them there. By default they are in
// the state directory and go with it.
func WithLogDir(dir string) Option { return func(o *options) { o.logDir = dir } }

// WithAPIServerFlags adds flags to the kube-apiserver's command line, for
// instance "--etcd-compaction-interval=2s" to have watches meet expired resource
// versions. They come last and so win over the ones chosen here.
func WithAPIServerFlags(flags ...string) Option {
	return func(o *options) { o.apiServerFlags = append(o.apiServerFlags, flags...) }
}
