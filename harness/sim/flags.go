package sim

import (
	"fmt"
	"strconv"
	"time"
)

const (
	etcdRole              = "etcd"
	apiServerRole         = "kube-apiserver"
	controllerManagerRole = "kube-controller-manager"
	schedulerRole         = "kube-scheduler"
	nodeRole              = "node"
	kubeletRole           = "kubelet"
	proxyRole             = "kube-proxy"
)

// The addresses of Services (the first is that of Service default/kubernetes) and, in a
// cluster, of pods and nodes. They exist only in the cluster's own network, so that all
// clusters can have the same.
const (
	serviceCIDR         = "10.96.0.0/16"
	kubernetesServiceIP = "10.96.0.1"
	dnsServiceIP        = "10.96.0.10" // for a DNS server, if one is deployed
	podCIDR             = "10.244.0.0/16"
	machineCIDR         = "172.30.0.0/16"
	apiServerPort       = 6443 // on the host beside the nodes
)

// Names in the state directory, which is the processes' working directory. etcd
// requires URLs of the form host:port for its unix sockets, and takes them as relative
// paths. So there is no port that others could have, nobody else can connect (the
// directory is private), and the length of the directory's path does not matter.
const (
	etcdSocket     = "etcd:0"
	etcdPeerSocket = "etcd-peer:0"
	dialSocket     = "dial"
	imagesDir      = "images"
	logsDir        = "logs" // in a cluster

	caFile          = "ca.crt"
	serverCertFile  = "apiserver.crt"
	serverKeyFile   = "apiserver.key"
	tokenKeyFile    = "service-account.key"
	kubeletCertFile = "apiserver-kubelet-client.crt"
	kubeletKeyFile  = "apiserver-kubelet-client.key"
	kubeconfigFile  = "admin.kubeconfig"
)

func etcdFlags() []string {
	return []string{
		"--data-dir=etcd-data",
		"--unsafe-no-fsync", // the data may be lost in a power failure
		"--log-level=warn",
		// A single member need not wait for votes; by default that takes up to 1 s.
		"--heartbeat-interval=10", "--election-timeout=100",
		"--listen-client-urls=unix://" + etcdSocket, "--advertise-client-urls=unix://" + etcdSocket,
		"--listen-peer-urls=unix://" + etcdPeerSocket, "--initial-advertise-peer-urls=unix://" + etcdPeerSocket,
		"--initial-cluster=default=unix://" + etcdPeerSocket,
	}
}

// apiServerFlags returns the flags of a control plane's and a cluster's API server.
func apiServerFlags() []string {
	return []string{
		"--etcd-servers=unix://" + etcdSocket,
		"--service-cluster-ip-range=" + serviceCIDR,
		"--tls-cert-file=" + serverCertFile, "--tls-private-key-file=" + serverKeyFile,
		"--client-ca-file=" + caFile,
		"--service-account-key-file=" + tokenKeyFile, "--service-account-signing-key-file=" + tokenKeyFile,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--profiling=false",
	}
}

func controlPlaneAPIServerFlags(port int, extra []string) []string {
	flags := append(apiServerFlags(),
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port),
		"--permit-port-sharing=true", // with the socket of heldPort
		// Without it, it looks for a default route, and so can't start on a host
		// without a network. Nobody sees the address, since nobody reconciles the
		// endpoints of default/kubernetes (these may not be loopback addresses).
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--authorization-mode=RBAC",
		// It waits for ServiceAccounts that only the controller manager creates.
		"--disable-admission-plugins=ServiceAccount",
	)
	return append(flags, extra...)
}

// clusterAPIServerFlags returns flags like kubeadm's: kubelets have only the rights
// that their node needs.
func clusterAPIServerFlags(address string, extra []string) []string {
	flags := append(apiServerFlags(),
		"--bind-address=0.0.0.0", "--secure-port="+strconv.Itoa(apiServerPort), "--advertise-address="+address,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority="+caFile,
		"--kubelet-client-certificate="+kubeletCertFile, "--kubelet-client-key="+kubeletKeyFile,
	)
	return append(flags, extra...)
}

func controllerManagerFlags(kubeconfig string) []string {
	return append(controllerFlags(kubeconfig),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+tokenKeyFile, "--root-ca-file="+caFile,
		"--cluster-cidr="+podCIDR, "--allocate-node-cidrs=false", // the network sets a node's pod CIDR
		// The default of 20 per second is for an API server that others use, too.
		"--kube-api-qps=500", "--kube-api-burst=1000",
	)
}

// controllerFlags returns the flags of the scheduler, which are also the first ones of
// the controller manager.
func controllerFlags(kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--leader-elect=false", // there is only one
		"--bind-address=127.0.0.1",
	}
}

func nodeFlags(n nodeInfo) []string {
	return []string{
		"--name=" + n.Name, "--address=" + n.Address, "--pod-network=" + n.Pods, "--root=" + n.Root,
		"--images=" + n.State + "/" + imagesDir, "--socket=" + n.runtimeSocket(),
	}
}

func kubeletFlags(n nodeInfo) []string {
	return []string{
		"--name=" + n.Name, "--address=" + n.Address, "--root=" + n.Root, "--runtime=" + n.runtimeSocket(),
		"--kubeconfig=" + n.file("kubeconfig"),
		"--tls-cert-file=" + n.file("crt"), "--tls-private-key-file=" + n.file("key"), "--client-ca-file=" + caFile,
		"--cluster-dns=" + dnsServiceIP,
	}
}

func proxyFlags(n nodeInfo, kubeconfig string, sync time.Duration) []string {
	flags := []string{
		"--kubeconfig=" + kubeconfig, "--hostname-override=" + n.Name,
		"--proxy-mode=nftables", "--cluster-cidr=" + podCIDR,
		// The limits of connection tracking are those of the host. All else is as by
		// default, in particular the second between two changes of the rules, since
		// rolling updates meet it in production.
		"--conntrack-max-per-core=0", "--conntrack-min=0",
		"--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
		"--v=2",
	}
	if sync > 0 {
		// Its name is older than nftables, for which it is, too. A full synchronisation must
		// not be more frequent.
		flags = append(flags, "--iptables-min-sync-period="+sync.String(), "--iptables-sync-period="+max(sync, 30*time.Second).String())
	}
	return flags
}

// runtimeSocket returns the path of the container runtime's socket, for processes on
// the node.
func (n nodeInfo) runtimeSocket() string { return n.Root + "/runtime.sock" }

// file returns the name of a file of the node in the state directory.
func (n nodeInfo) file(kind string) string { return fmt.Sprintf("%s.%s", n.Name, kind) }
