// Package kubelet runs the real kubelet on a simulated node. It replaces three parts: the
// one that reads the hardware (machine.go), the one that manages cgroups, and the one
// that sets OOM scores.
//
// Probes, hooks, volumes, status, the pod lifecycle, exec, log streaming, and the
// authentication and authorization of its API are the kubelet's own.
package kubelet

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/logs"
	"k8s.io/klog/v2"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/util/oom"
)

// Name is the name of the role.
const Name = "kubelet"

// settings are what differs between nodes.
type settings struct {
	name, address      string
	root               string // its directory, as an absolute path
	runtime            string // the unix socket of the container runtime
	kubeconfig         string
	cert, key, ca      string // for its own API; ca signs the certificates of clients
	dnsAddress, domain string
	verbosity          string
}

// Main runs the kubelet with these flags until it receives a signal, and returns the
// exit code.
func Main(args []string) int {
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, "kubelet:", err)
		return 1
	}
	return 0
}

func run(args []string) error {
	var s settings
	flags := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	flags.StringVar(&s.name, "name", "", "the node's name")
	flags.StringVar(&s.address, "address", "", "the node's address")
	flags.StringVar(&s.root, "root", "", "the directory for everything it writes")
	flags.StringVar(&s.runtime, "runtime", "", "the unix socket of the container runtime")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "how to reach the API server")
	flags.StringVar(&s.cert, "tls-cert-file", "", "the certificate of its own API")
	flags.StringVar(&s.key, "tls-private-key-file", "", "the key of that certificate")
	flags.StringVar(&s.ca, "client-ca-file", "", "who signs the certificates of its clients")
	flags.StringVar(&s.dnsAddress, "cluster-dns", "", "the address of the cluster's DNS service")
	flags.StringVar(&s.domain, "cluster-domain", "cluster.local", "the cluster's DNS domain")
	flags.StringVar(&s.verbosity, "v", "2", "how much it logs, 0 to 9")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := ignoreChown(); err != nil {
		return err
	}
	if err := logTo(s.verbosity); err != nil {
		return err
	}
	ctx := genericapiserver.SetupSignalContext()
	// This is the only path that is not in the configuration. The default,
	// /var/log/containers, may not be writable.
	kubelet.ContainerLogsDir = filepath.Join(s.root, "container-logs")
	server, err := s.server()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(server.RootDirectory, 0o755); err != nil {
		return err
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(server.FeatureGates); err != nil {
		return err
	}
	deps, err := kubeletapp.UnsecuredDependencies(ctx, server, utilfeature.DefaultFeatureGate)
	if err != nil {
		return err
	}
	deps.CAdvisorInterface = &machine{name: s.name, root: s.root}
	deps.ContainerManager = cm.NewStubContainerManager()
	deps.OOMAdjuster = oom.NewFakeOOMAdjuster()
	return kubeletapp.Run(ctx, server, deps, utilfeature.DefaultFeatureGate)
}

func logTo(verbosity string) error {
	logs.InitLogs()
	var level klog.Level
	return level.Set(verbosity)
}

// server returns the kubelet's configuration. What needs cgroups, an image store or
// root on the host is off; all else is as on any node.
func (s settings) server() (*options.KubeletServer, error) {
	server, err := options.NewKubeletServer()
	if err != nil {
		return nil, err
	}
	server.HostnameOverride, server.NodeIP = s.name, s.address
	server.KubeConfig = s.kubeconfig
	server.RootDirectory = filepath.Join(s.root, "kubelet")
	server.CertDirectory = filepath.Join(s.root, "pki")
	s.security(&server.KubeletConfiguration)
	c := &server.KubeletConfiguration
	c.Address, c.ReadOnlyPort, c.HealthzPort = s.address, 0, 0
	c.ContainerRuntimeEndpoint = "unix://" + s.runtime
	c.PodLogsDir = filepath.Join(s.root, "pod-logs")
	c.VolumePluginDir = filepath.Join(s.root, "volume-plugins")
	c.ClusterDNS, c.ClusterDomain, c.ResolverConfig = []string{s.dnsAddress}, s.domain, ""
	// Without cgroups there are no limits, no quality-of-service classes and no
	// statistics, and so there is no eviction.
	c.CgroupsPerQOS, c.CgroupDriver, c.EnforceNodeAllocatable = false, "cgroupfs", nil
	c.FailSwapOn, c.FailCgroupV1 = false, false
	c.EvictionHard = map[string]string{}
	c.LocalStorageCapacityIsolation = false
	c.ImageGCHighThresholdPercent = 100 // the kubelet must not delete images
	// The kubelet must not change the host's settings.
	c.FeatureGates = map[string]bool{"KubeletInUserNamespace": true}
	c.MakeIPTablesUtilChains = false
	c.ProtectKernelDefaults = false
	c.OOMScoreAdj = 0
	c.MaxOpenFiles = 4096
	c.RotateCertificates = false
	c.SerializeImagePulls = false
	server.MaxPerPodContainerCount, server.MaxContainerCount = 1, -1
	server.MinimumGCAge = metav1.Duration{}
	return server, nil
}

// security sets what kubeadm sets, instead of the kubelet's old defaults: nobody is
// anonymous, and the API server decides who may do what.
func (s settings) security(c *kubeletconfig.KubeletConfiguration) {
	c.TLSCertFile, c.TLSPrivateKeyFile = s.cert, s.key
	c.Authentication.X509.ClientCAFile = s.ca
	c.Authentication.Anonymous.Enabled = false
	c.Authentication.Webhook.Enabled = true
	c.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeWebhook
}
