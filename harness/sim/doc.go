// Package sim runs a real Kubernetes for integration tests, as ordinary processes: no
// Docker, no root, no virtual machine, no images and no network.
//
//	c, err := sim.StartCluster(ctx)                 // two nodes, in about five seconds
//	if err != nil { ... }
//	defer c.Stop()
//	err = c.LoadImage(ctx, sim.Image{
//		Name: "example/app:v1", Files: map[string]string{"/app": "./app"}, Entrypoint: []string{"/app"},
//	})
//	client, err := kubernetes.NewForConfig(c.RESTConfig()) // create a Deployment of it, a Service ...
//	visitor := &http.Client{Transport: &http.Transport{DialContext: c.DialContext}}
//	resp, err := visitor.Get("http://10.96.123.45/")       // ... and be its client
//
// [StartControlPlane] starts the API alone (etcd and kube-apiserver), in about two seconds,
// for programs that only talk to Kubernetes.
//
// Tests use [kubernaut.io/dynamic-toolset/harness/sim/simtest], which adds the clean-up,
// and skips tests where this can't run. At a terminal, use harness/sim/cmd/simcluster.
//
// # What is real in a cluster
//
// Everything but the container runtime: etcd, the API server (with RBAC, the node
// authorizer, NodeRestriction and Pod Security), the controller manager, the scheduler, and
// on every node a kubelet and a kube-proxy that programs nftables. So these are Kubernetes'
// own: probes, hooks, grace periods, rolling updates, EndpointSlices, the second before a
// node follows them, exec, logs, port-forward and ServiceAccount tokens. Nodes and pods
// have their own network namespaces, connected by veth pairs, and the kernel forwards
// between them. A pod that is gone does not answer, not even with a reset.
//
// The container runtime (kube/cri) runs a container as a local process in its own
// namespaces, with the files of an [Image] and nothing else.
//
// # What is missing in a cluster
//
// There is no DNS server: use ClusterIPs, or the variables that pods get. Limits of CPU and
// memory are ignored and statistics are empty, as there are no cgroups. There is no
// registry, no storage class and no load balancer. All nodes see the files of this host (a
// hostPath volume is the host's), but have their own /tmp in memory. If only one user id is
// mapped ([Cluster.OneUser]), every container runs as that user, which it sees as root.
//
// # What is missing in a control plane alone
//
// Everything that the API server does itself is there: storage and watches, resource
// versions and their expiry, validation, server-side apply, admission, custom resources,
// TLS, authentication with client certificates and with ServiceAccount tokens
// (TokenRequest), RBAC, priority and fairness.
//
// Nothing is done that controllers do, as there is no controller manager. Services get no
// Endpoints and EndpointSlices (create them). A deleted Namespace stays Terminating for
// ever (use a new name per test). Owner references are not garbage-collected. There are no
// ServiceAccounts named "default". The aggregated ClusterRoles view, edit and admin are
// empty (grant rights with your own ClusterRoles). No pod ever runs.
//
// # The processes
//
// One process owns the others and the state directory. It is a supervisor; in a cluster,
// below it is process 1 of the cluster's namespaces. When Stop is called, or the calling
// process ends in whatever way, all processes end and the directory is removed.
//
// # What a cluster needs
//
// Linux 5.13 or newer with nf_tables, the programs nft and mount, and user namespaces, or
// root. As root, and for users with subordinate ids (newuidmap and /etc/subuid), pods may be
// any user. If something is missing, [ErrUnsupported] says what helps. A cluster of two
// nodes takes about 600 MB.
package sim
