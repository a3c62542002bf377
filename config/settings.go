// Package config holds all settings of the service: where they come from, what
// they mean, and which values make sense.
//
// Each setting has one name. It is a flag (--health-interval), an environment
// variable (TOOLSET_HEALTH_INTERVAL) and a key of the YAML file that --config
// names (health-interval); of several values a flag beats the environment,
// which beats the file, which beats the default. A name that does not exist is
// an error wherever it stands: a setting that is silently ignored is found
// during an outage.
//
// Load reports everything that is wrong in one go.
package config

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// Settings are all settings of the service, valid if they come from Load.
type Settings struct {
	// File is the YAML file that settings were read from; empty if none.
	File string

	Cluster   Cluster
	HTTP      HTTP
	Access    Access
	Discovery Discovery
	Health    Health
	ConfigMap ConfigMap
	Shutdown  Shutdown
	Limits    Limits
	Logs      Logs

	// Warnings are sentences about settings that work, but probably not as
	// somebody wants. They are for the log, at warn level.
	Warnings []string
}

// Cluster says which cluster to watch. Exactly one of Manifests, Kubeconfig and
// InCluster is set.
type Cluster struct {
	// Manifests is a folder of manifests that is watched instead of a cluster.
	Manifests string
	// Kubeconfig is the kubeconfig file that names the cluster, and Context
	// the context in it; empty for its current context.
	Kubeconfig string
	Context    string
	// InCluster means: the cluster in which this process runs, with the
	// service account of its pod.
	InCluster bool
	// Namespaces are those to watch, without duplicates; empty for all.
	Namespaces []string
	// Domain is the cluster's DNS domain, such as cluster.local.
	Domain string
	// UnavailableGrace is how long the Kubernetes API may be unreachable
	// before readiness fails.
	UnavailableGrace time.Duration
	// Resync is the time between two full comparisons with the cluster.
	Resync time.Duration
}

// HTTP says where to listen and how long to wait for clients.
type HTTP struct {
	Listen        string // host:port of the API and the probes
	MetricsListen string // host:port of /metrics
	Pprof         bool   // profiles below /debug/pprof/ there
	TLSCertFile   string // PEM; with TLSKeyFile: both ports speak TLS
	TLSKeyFile    string // PEM
	ServedBy      string // the X-Served-By header of every response; empty for none
	ReadTimeout   time.Duration
	WriteTimeout  time.Duration
	IdleTimeout   time.Duration // of a kept-alive connection between requests
	// MaxConnectionAge is the age at which a kept-alive connection is closed
	// after a response; 0 for never. The server varies it by 10 %.
	MaxConnectionAge time.Duration
}

// Limits bound what clients can make the server use.
type Limits struct {
	MaxConnections int // open connections of all clients
	MaxRequestBody int // bytes
	MaxHeaderBytes int // bytes of request line and headers
	MaxWatchers    int // event streams open at once; 0 for none
}

// Discovery says how back ends are recognised.
type Discovery struct {
	// Rules is a file of further recognition rules; empty for the built-in
	// ones alone.
	Rules string
}

// Health says how health checks are made. See package service/health.
type Health struct {
	Enabled               bool
	Interval              time.Duration
	Timeout               time.Duration // of one attempt
	Attempts              int
	Concurrency           int
	CAFile                string // PEM; empty for the system's CAs alone
	InsecureSkipTLSVerify bool
	AllowEndpointCIDRs    []netip.Prefix
}

// RootCAs returns the CAs of the system and of CAFile, or nil, which means
// those of the system, if there is no CAFile. Load has called it once, so that
// it fails only if the file has changed since.
func (h Health) RootCAs() (*x509.CertPool, error) {
	if h.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(h.CAFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // images from scratch have none
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", h.CAFile)
	}
	return pool, nil
}

// Defaults that belong together: whoever changes the one must change the other.
const (
	DefaultConfigMap = "kubernaut-toolset-config"
	DefaultLease     = "dynamic-toolset"
)

// ConfigMap says where the generated document is written.
type ConfigMap struct {
	// Enabled means that it is written to the cluster; never with
	// Cluster.Manifests.
	Enabled   bool
	Namespace string
	Name      string
	// LeaderElection means that, of several replicas, the one that holds the
	// Lease writes; only where Enabled.
	LeaderElection bool
	Lease          string
	// Write is, with Cluster.Manifests, the file to write the ConfigMap to,
	// "-" for standard output; empty for nowhere.
	Write string
}

// Shutdown says how long the steps of a shutdown take.
type Shutdown struct {
	PropagationDelay time.Duration
	DrainTimeout     time.Duration
}

// Logs says what is logged and how.
type Logs struct {
	Level  string // debug, info, warn or error
	Format string // auto, json or console
}
