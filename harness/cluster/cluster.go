// Package cluster describes what a verification needs of a cluster, whatever its kind.
// Package driver brings clusters up; code that only uses one needs just this package.
package cluster

import (
	"context"
	"errors"
	"io"
	"net"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// ErrUnsupported is wrapped by errors that say that this host, or this kind of cluster,
// can't do what was asked. Their text says what is missing and how to get it.
var ErrUnsupported = errors.New("not supported here")

// Namespace is where the harness has its own pods, in clusters of its own.
const Namespace = "toolset-verification"

// Image is a container image: made of files of this host, or of an image that is in a
// file of it, or one that the host's container engine has.
type Image struct {
	Name       string            // as manifests name it, such as dynamic-toolset:devel
	Files      map[string]string // path in the container -> file or folder on the host
	Entrypoint []string
	User       int64 // the image's USER; 0 is root

	// Root is a folder of this host with a root file system, for clusters that run it
	// from there; nobody may change it while they do. What follows is what the image
	// says besides, as far as pods do not say otherwise.
	Root       string
	Cmd, Env   []string
	Username   string // instead of User, if it is not empty; in the image's /etc/passwd
	WorkingDir string // empty: /
	StopSignal string // empty: SIGTERM
	// Archive writes the image as docker save does, under a name, for clusters whose
	// nodes have a container engine. If it is nil and there are no Files, the host's
	// engine has the image.
	Archive func(ctx context.Context, name string, to io.Writer) error
}

// Cluster is a running cluster.
type Cluster interface {
	// Name returns the kind of cluster, such as "sim".
	Name() string
	// RESTConfig returns the credentials of an administrator, or those of the user.
	RESTConfig() *rest.Config
	// DialContext connects to a pod or a Service like a client inside the cluster. So
	// do its errors: errors.Is(err, syscall.ECONNREFUSED) if nobody listens.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// LoadImage makes an image available on every node.
	LoadImage(ctx context.Context, image Image) error
	// Namespace returns where the harness may have its own pods.
	Namespace() string
	// Shared reports whether others use the cluster too. Then only the target's objects
	// may be changed, and no node.
	Shared() bool
	// Fit returns the objects as they should be applied in this cluster, some changed
	// or left out if it can't take them otherwise. The notes are sentences for the
	// report, about these and about what the cluster accepts but does not honour.
	Fit(objects []*unstructured.Unstructured) (fitted []*unstructured.Unstructured, notes []string, err error)
	// Logs returns the last log lines of the cluster's own processes, to explain a
	// failure; empty if there are none.
	Logs() string
	// Close deletes the cluster, or what the harness has left in it.
	Close() error
}

// Faults are implemented by clusters of the harness's own in which faults can be made.
type Faults interface {
	// StopAPIServer ends the API server as a crash would. StartAPIServer starts it
	// again, and returns when it is ready.
	StopAPIServer() error
	StartAPIServer(ctx context.Context) error
	// KillKubelet ends the kubelet of a node as a crash would; its pods go on running.
	// StartKubelet starts it again.
	KillKubelet(node string) error
	StartKubelet(node string) error
}
