// Package cluster is what a verification needs of a cluster, whichever it is.
// Package driver brings clusters up; who only uses one needs no more than this.
package cluster

import (
	"context"
	"errors"
	"net"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// ErrUnsupported is the cause of an error where this machine, or this kind of
// cluster, can't do what was asked. The error's text says what is missing and how
// to get it.
var ErrUnsupported = errors.New("not supported here")

// Namespace is that of the harness' own pods in clusters of its own.
const Namespace = "toolset-verification"

// Image is a container image made of a program and files of this machine, or one
// that is in this machine's container engine already.
type Image struct {
	Name       string            // as manifests name it, such as dynamic-toolset:devel
	Files      map[string]string // path in the container -> file or folder here; empty: the engine has the image
	Entrypoint []string
	User       int64 // the image's USER; 0 is root
}

// Cluster is a cluster that is up. Close ends it.
type Cluster interface {
	// Name is that of the kind of cluster, such as "sim".
	Name() string
	// RESTConfig is that of an administrator, or of whoever the user is.
	RESTConfig() *rest.Config
	// DialContext connects as a client inside the cluster does, to a pod's or a
	// Service's address. Its errors are those of a connection made there:
	// errors.Is(err, syscall.ECONNREFUSED) where nobody listens.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// LoadImage puts an image where every node finds it.
	LoadImage(ctx context.Context, image Image) error
	// Namespace is where the harness may have pods of its own.
	Namespace() string
	// Shared says that others use the cluster too: nothing but the objects of the
	// target may be touched, no node.
	Shared() bool
	// Fit returns the objects as they are to be applied here, some changed or left
	// out where this cluster can't take them as they are. What was changed, and what
	// the cluster takes but does not honour, it says in sentences for the report.
	Fit(objects []*unstructured.Unstructured) (fitted []*unstructured.Unstructured, notes []string, err error)
	// Logs are the last lines of the cluster's own processes, for a failure that
	// can't be explained otherwise; empty where there are none.
	Logs() string
	// Close ends the cluster, or gives it back, with nothing of ours left behind.
	Close() error
}

// Faults can be made in clusters of one's own. A Cluster that can't make them
// doesn't implement it.
type Faults interface {
	// StopAPIServer ends the API server as a crash would; StartAPIServer starts
	// it again and returns when it is ready.
	StopAPIServer() error
	StartAPIServer(ctx context.Context) error
	// KillKubelet ends the kubelet of a node as a crash would, its pods go on;
	// StartKubelet starts it again.
	KillKubelet(node string) error
	StartKubelet(node string) error
}
