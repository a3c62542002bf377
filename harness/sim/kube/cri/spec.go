package cri

import (
	"encoding/json"
	"io"
)

// What the runtime tells the process that becomes a container, as JSON through a
// pipe.

// initSpec is the instruction of a container's process 1.
type initSpec struct {
	Rootfs string // an empty folder of the node to mount the root on
	Image  []imageEntry
	Mounts []mountSpec // in the order in which they are made
	Shm    string      // the pod's folder for /dev/shm

	Masked   []string // paths of the container that it must not see
	ReadOnly []string // and those that it must not change

	ReadOnlyRoot bool
	Process      process
}

// imageEntry is a file or folder of the image. A file is the image's own, and
// read-only; on a folder the container writes into a layer of its own.
type imageEntry struct {
	Source string // on the node
	Target string // in the container
	Folder bool
}

// mountSpec is a file or folder of the node that the container sees.
type mountSpec struct {
	Source, Target string
	ReadOnly       bool
}

// process is a program to execute and the rights that it gets.
type process struct {
	Args     []string
	Env      []string // KEY=value
	Dir      string
	Identity identity
	Rights   rights
}

// identity is whom a process runs as.
type identity struct {
	UID, GID uint32
	Groups   []uint32
	// Switch is false where only one user exists (a user namespace with a single
	// ID): the process is that one already, and any change would be refused.
	Switch bool
}

// rights limits what a process may do, whoever it is.
type rights struct {
	Capabilities    []uintptr // numbers of those that it or its children may ever have
	AllCapabilities bool      // privileged: nothing is taken
	NoNewPrivileges bool
}

func encode(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

func decode(r io.Reader, v any) error { return json.NewDecoder(r).Decode(v) }
