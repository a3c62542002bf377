// Package cri is the container runtime of a node of the simulated cluster. The real kubelet
// calls it through the Container Runtime Interface (CRI v1), like containerd in a real
// cluster.
//
// A pod sandbox is a set of namespaces (network, IPC, host name), connected to the node by
// a veth pair and a /32 route, so that every pod has its own address. A container is a
// process in the namespaces of its sandbox and in its own mount and PID namespace. An image
// is a folder that says which files a container has and what it runs; nothing is
// downloaded or unpacked. There are no cgroups, so CPU and memory are not limited.
//
// The files, in the order of a pod's life:
//
//	server.go      the node's process: sockets, start and end
//	sandbox.go     pods: namespaces.go, network.go, address.go
//	container.go   containers: start.go, stop.go, await.go
//	image.go       the image store
//	log.go         what a container writes, in the format that the kubelet reads
//	exec.go        commands inside a running container: enter.go; stream.go for
//	               kubectl's
//
// role_init.go, root.go and mount.go run in another process, which becomes process 1 of a
// container: it builds the container's root, gives up rights and executes the program.
//
// All state is in the node's process. If the kubelet is killed and restarted, it finds its
// pods and containers as they were.
package cri
