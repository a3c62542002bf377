package sim

import "strconv"

const (
	etcdRole      = "etcd"
	apiServerRole = "kube-apiserver"
)

// The addresses of Services; the first is that of Service default/kubernetes.
const (
	serviceCIDR         = "10.96.0.0/16"
	kubernetesServiceIP = "10.96.0.1"
)

// Names inside the state directory, which is the processes' working directory.
// etcd wants its unix sockets as URLs of the form host:port, and takes that for a
// relative path: no port to collide on, nobody else can connect (the directory is
// ours alone), and no limit on the length of the directory's name.
const (
	etcdSocket     = "etcd:0"
	etcdPeerSocket = "etcd-peer:0"

	caFile         = "ca.crt"
	serverCertFile = "apiserver.crt"
	serverKeyFile  = "apiserver.key"
	tokenKeyFile   = "service-account.key"
	kubeconfigFile = "admin.kubeconfig"
)

func etcdFlags() []string {
	return []string{
		"--data-dir=etcd-data",
		"--unsafe-no-fsync", // the data need not outlive a power failure
		"--log-level=warn",
		// Alone, it need not wait for votes: the default's election takes up to 1 s.
		"--heartbeat-interval=10", "--election-timeout=100",
		"--listen-client-urls=unix://" + etcdSocket, "--advertise-client-urls=unix://" + etcdSocket,
		"--listen-peer-urls=unix://" + etcdPeerSocket, "--initial-advertise-peer-urls=unix://" + etcdPeerSocket,
		"--initial-cluster=default=unix://" + etcdPeerSocket,
	}
}

func apiServerFlags(port int, extra []string) []string {
	return append([]string{
		"--etcd-servers=unix://" + etcdSocket,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port),
		"--permit-port-sharing=true", // with the socket that holds the port
		// Without it, a machine that has no network cannot start: it looks for a
		// default route. Nobody is told it, as nobody reconciles the endpoints of
		// default/kubernetes (they may not be loopback addresses).
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--tls-cert-file=" + serverCertFile, "--tls-private-key-file=" + serverKeyFile,
		"--client-ca-file=" + caFile,
		"--service-account-key-file=" + tokenKeyFile, "--service-account-signing-key-file=" + tokenKeyFile,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--authorization-mode=RBAC",
		// It waits for ServiceAccounts that only the controller manager makes.
		"--disable-admission-plugins=ServiceAccount",
		"--profiling=false",
	}, extra...)
}
