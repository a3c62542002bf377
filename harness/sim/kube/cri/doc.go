// Package cri is the container runtime of a node of the simulated cluster: the
// real kubelet talks to it over the Container Runtime Interface (CRI v1), as it
// talks to containerd on a machine of a real cluster.
//
// A pod sandbox is a set of namespaces (network, IPC, host name) joined to the
// node by a veth pair and a /32 route, so every pod has an address of its own. A
// container is a process in the namespaces of its sandbox and in a mount and a PID
// namespace of its own. An image is a folder that says which files a container
// sees and what it runs; nothing is downloaded or unpacked. There are no cgroups,
// so no limits of CPU or memory.
//
// What follows the life of a request here:
//
//	server.go      the node's process: sockets, start and end
//	sandbox.go     pods: namespaces.go, network.go, address.go
//	container.go   containers: start.go, stop.go, await.go
//	image.go       the image store
//	log.go         what a container writes, in the format that kubelet reads
//	exec.go        commands inside a running container: enter.go; stream.go for
//	               kubectl's
//
// and on the other side of an exec, in a process of its own (role_init.go, root.go,
// mount.go), what becomes process 1 of a container: it builds the container's
// root, gives up rights and executes the program.
//
// All state is in the node's process: if kubelet is killed and comes back, it
// finds its pods and containers as they were.
package cri
