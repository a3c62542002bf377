// Package sim runs a real Kubernetes control plane for integration tests: the
// real etcd and the real kube-apiserver as ordinary processes, without nodes,
// containers, images, root or a network, ready in about two seconds.
//
//	cp, err := sim.StartControlPlane(ctx)
//	if err != nil { ... }
//	defer cp.Stop()
//	client, err := kubernetes.NewForConfig(cp.RESTConfig())
//
// Tests use [kubernaut.io/dynamic-toolset/harness/sim/simtest], which adds the
// skip where the binary cannot be built, and the cleanup.
//
// # What is real and what is missing
//
// Everything the API server itself does is real: storage and watches, resource
// versions and their expiry, validation, server-side apply, admission, custom
// resources, TLS, authentication with client certificates and with
// ServiceAccount tokens (TokenRequest), RBAC, priority and fairness.
//
// What a controller does never happens, as there is no controller manager:
// Endpoints and EndpointSlices are not made for Services (create them), a
// deleted Namespace stays Terminating for ever (use a new name per test), owner
// references are not garbage-collected, ServiceAccounts named "default" do not
// appear, and the aggregated ClusterRoles view, edit and admin are empty (grant
// rights with ClusterRoles of your own). No pod ever runs.
//
// # The processes
//
// One supervisor process owns etcd, the API server and the state directory. When
// [ControlPlane.Stop] is called, or when the calling process dies in whatever
// way, it kills them and removes the directory.
package sim
