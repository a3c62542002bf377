package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// errNoCluster means that no setting says which cluster to talk to.
var errNoCluster = errors.New("no cluster to talk to: use --manifests DIR for a folder of Kubernetes YAML, " +
	"or --kubeconfig FILE [--context NAME] for a cluster's API server, or run in a pod of the cluster, " +
	"whose service account is then used")

// Limits on the calls of this program to an API server, per second. A watch is one call.
// They matter only if something goes wrong and repeats itself.
const (
	clientQPS   = 20
	clientBurst = 40
)

// dialTimeout bounds the TCP handshake with an API server. client-go's default of 30 s is
// longer than an operator looks at a program that does not start.
const dialTimeout = 5 * time.Second

// Connect returns the configuration of a client for the cluster: from the kubeconfig file
// (or list of files, as in $KUBECONFIG) and its context (the current one if contextName
// is empty); or, without a kubeconfig, from the service account of the pod that this
// program runs in. It does not connect yet.
//
// version is the version of this program, for the User-Agent. The error says what to do, also
// if there is neither a kubeconfig nor a pod.
//
// The configuration has no overall timeout, which would end every watch. Callers must
// give each call a context with a deadline.
func Connect(kubeconfig, contextName, version string) (*rest.Config, error) {
	var cfg *rest.Config
	var err error
	switch {
	case kubeconfig != "":
		cfg, err = fromKubeconfig(kubeconfig, contextName)
	case contextName != "":
		return nil, fmt.Errorf("--context %q needs --kubeconfig FILE, the file that has this context", contextName)
	default:
		cfg, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errNoCluster
		}
		if err != nil {
			err = fmt.Errorf("this pod's service account cannot be used: %w; "+
				"check that the pod has one and that automountServiceAccountToken is not false", err)
		}
	}
	if err != nil {
		return nil, err
	}
	cfg.QPS, cfg.Burst = clientQPS, clientBurst
	cfg.UserAgent = "dynamic-toolset/" + version
	if cfg.Dial == nil {
		cfg.Dial = Dial
	}
	return cfg, nil
}

// Dial connects to an API server. The configurations of Connect use it.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return d.DialContext(ctx, network, address)
}

func fromKubeconfig(path, contextName string) (*rest.Config, error) {
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: strings.Split(path, string(os.PathListSeparator))}
	for _, file := range rules.Precedence {
		// client-go takes a missing file for an empty one, and then complains about a
		// "default cluster". But somebody has mistyped a path.
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("kubeconfig: %w", err)
		}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: contextName})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s is not readable as one: %s", path, Clean(err.Error()))
	}
	if contextName == "" {
		contextName = raw.CurrentContext
	}
	if contextName == "" {
		return nil, fmt.Errorf("kubeconfig %s has no current context; choose one with --context, of: %s", path, names(raw.Contexts))
	}
	if raw.Contexts[contextName] == nil {
		return nil, fmt.Errorf("kubeconfig %s has no context %q; it has: %s", path, contextName, names(raw.Contexts))
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s, context %q: %s", path, contextName, Clean(err.Error()))
	}
	return cfg, nil
}
