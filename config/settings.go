// Package config holds all settings of the service: where they come from, what they mean,
// and which values are valid.
//
// Each setting has one name, such as health-interval. It is a flag (--health-interval),
// an environment variable (TOOLSET_HEALTH_INTERVAL) and a key of the YAML file that
// --config names (health-interval). A flag takes precedence over the environment, the
// environment over the file, and the file over the default. A name that does not exist is
// an error in each of them: a setting that is silently ignored is found during an outage.
//
// [Load] returns the [Settings] of the service, [LoadGenerate] those of the command
// generate. Both report everything that is wrong at once, as [Problems].
package config

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// Settings has all settings of the service. They are valid if they come from Load.
type Settings struct {
	// File is the YAML file that was read; empty if there was none.
	File string

	Cluster   Cluster
	HTTP      HTTP
	Access    Access
	Discovery Discovery
	Health    Health
	ConfigMap ConfigMap
	Documents Documents
	HolmesGPT HolmesGPT
	Shutdown  Shutdown
	Limits    Limits
	Logs      Logs

	// Warnings are sentences about settings that work but are probably not what somebody
	// wants. They are logged at warn level.
	Warnings []string
}

// Cluster says which cluster to watch. Exactly one of Manifests, Kubeconfig and InCluster
// is set.
type Cluster struct {
	// Manifests is a folder of manifests, or a file, that is watched instead of a cluster;
	// "-" is standard input.
	Manifests string
	// Kubeconfig is the kubeconfig file of the cluster, and Context the context to use in
	// it; empty for the current context.
	Kubeconfig string
	Context    string
	// InCluster means the cluster in which this process runs, by the service account of
	// its pod.
	InCluster bool
	// Namespaces lists the namespaces to watch, without duplicates; empty for all.
	Namespaces []string
	// Domain is the cluster's DNS domain, such as cluster.local.
	Domain string
	// UnavailableGrace is how long the Kubernetes API may be unreachable before readiness
	// fails.
	UnavailableGrace time.Duration
	// Resync is the time between two full lists of the cluster.
	Resync time.Duration
}

// HTTP says where to listen and how long to wait for clients.
type HTTP struct {
	Listen        string // host:port of the API and the probes
	MetricsListen string // host:port of /metrics
	Pprof         bool   // serve profiles on MetricsListen, below /debug/pprof/
	TLSCertFile   string // PEM; with TLSKeyFile, both ports use TLS
	TLSKeyFile    string // PEM
	ServedBy      string // value of the header X-Served-By; empty for no such header
	ReadTimeout   time.Duration
	WriteTimeout  time.Duration
	IdleTimeout   time.Duration // of a connection between two requests
	// MaxConnectionAge is the age after which a connection is closed with its next
	// response; 0 for never. The server varies it by up to 10 %.
	MaxConnectionAge time.Duration
	EventLoop        EventLoop // who has the connections between requests
}

// An EventLoop says whether event loops have the connections between requests.
type EventLoop string

// The values of EventLoop.
const (
	EventLoopAuto EventLoop = "auto" // where that is possible: on Linux, without TLS
	EventLoopOff  EventLoop = "off"
)

// Limits bounds what clients can use of the server.
type Limits struct {
	MaxConnections int // open connections of all clients
	MaxRequestBody int // bytes
	MaxHeaderBytes int // bytes of request line and headers
	MaxWatchers    int // event streams open at once; 0: none are allowed
}

// Discovery says how back ends are recognised.
type Discovery struct {
	// Rules is a file with additional recognition rules; empty for the built-in ones
	// only.
	Rules string
	// Identify says which Services are asked who they are.
	Identify Identify
	// CandidatesPerMinute bounds how many of those are asked that no rule recognises.
	CandidatesPerMinute int
	// WorkloadEvidence means that the workloads of the cluster are watched as well. Those
	// in Cluster.Manifests are always read.
	WorkloadEvidence bool
}

// An Identify says which Services are asked who they are. See package service/identify.
type Identify string

// The values of Identify. Each asks those of the one before as well.
const (
	IdentifyOff        Identify = "off"
	IdentifyRecognised Identify = "recognised" // those that a rule recognises
	IdentifyCandidates Identify = "candidates" // those that might be back ends
)

// Health says how health checks work. See package service/health.
type Health struct {
	Enabled               bool
	Interval              time.Duration
	Timeout               time.Duration // of one attempt
	Attempts              int
	Concurrency           int
	CAFile                string // PEM, in addition to the CAs of the system; empty for these only
	InsecureSkipTLSVerify bool
	AllowEndpointCIDRs    []netip.Prefix
	// DNSServer resolves the names of the back ends; not valid for the system's servers.
	DNSServer netip.AddrPort
}

// Resolver returns what resolves the names of the back ends by DNSServer. Without one it
// returns nil, which means the system's configuration.
func (h Health) Resolver() *net.Resolver {
	if !h.DNSServer.IsValid() {
		return nil
	}
	// The third argument is an address of resolv.conf.
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, h.DNSServer.String())
	}}
}

// RootCAs returns the CAs of the system and those in CAFile. Without a CAFile it returns
// nil, which means the CAs of the system. Load has called it once, so it fails only if
// the file has changed since.
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
		pool = x509.NewCertPool() // images from scratch have no CAs
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", h.CAFile)
	}
	return pool, nil
}

// These defaults belong together: whoever changes one must change the other.
const (
	DefaultConfigMap = "kubernaut-toolset-config"
	DefaultLease     = "dynamic-toolset"
)

// Documents says which documents are generated.
type Documents struct {
	// Outputs lists the formats, without duplicates; there is at least one.
	Outputs []string
	// OwnURL is where clients reach this service, for documents of MCP servers; empty if it
	// is to be in none.
	OwnURL string
}

// ConfigMap says where the generated documents are written.
type ConfigMap struct {
	// Enabled means that they are written to the cluster. It is never set together with
	// Cluster.Manifests.
	Enabled   bool
	Namespace string
	Name      string
	// LeaderElection means that, of several replicas, only the one that holds the Lease
	// writes. It is set only if Enabled is.
	LeaderElection bool
	Lease          string
	// Write is the file to write the ConfigMap to, with Cluster.Manifests only; "-" for
	// standard output, empty for none.
	Write string
}

// HolmesGPT says what is in the document for HolmesGPT, and how it learns of changes.
type HolmesGPT struct {
	// LeaveOut lists built-in toolsets of HolmesGPT that people configure themselves.
	LeaveOut []string
	// Curl makes the document fit for releases before June 2026.
	Curl bool
	// ReloadURL is POSTed to after a write; empty for no such call.
	ReloadURL string
	// ReloadDelay is the time from the write to the call.
	ReloadDelay time.Duration
}

// Shutdown says how long the steps of a shutdown take.
type Shutdown struct {
	PropagationDelay time.Duration
	DrainTimeout     time.Duration
}

// Logs says what is logged, and in which format.
type Logs struct {
	Level  string // debug, info, warn or error
	Format string // auto, json or console
}
