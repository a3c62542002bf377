package cri

import (
	"encoding/json"
	"io"
)

// What the runtime sends to the process that becomes a container, as JSON through a
// pipe.

// initSpec has the instructions for a container's process 1.
type initSpec struct {
	Rootfs string // an empty folder of the node, on which to mount the root
	Image  []imageEntry
	Mounts []mountSpec // in the order in which they are mounted
	Shm    string      // the pod's folder for /dev/shm

	Masked   []string // paths that the container must not see
	ReadOnly []string // paths that it must not change

	ReadOnlyRoot bool
	Process      process
}

// imageEntry is a file or folder of the image. Files are read-only. The container
// writes to a folder in its own layer.
type imageEntry struct {
	Source string // on the node
	Target string // in the container
	Folder bool
}

// mountSpec is a file or folder of the node in the container.
type mountSpec struct {
	Source, Target string
	ReadOnly       bool
}

// A process is a program to execute, with its rights.
type process struct {
	Args     []string
	Env      []string // KEY=value
	Dir      string
	Identity identity
	Rights   rights
}

// identity is the user that a process runs as.
type identity struct {
	UID, GID uint32
	Groups   []uint32
	// Switch is false if only one user exists (a user namespace with a single id): the
	// process has this id already, and any change would be refused.
	Switch bool
}

// rights limit what a process may do, whatever its user.
type rights struct {
	Capabilities    []uintptr // those that it and its children may ever have
	AllCapabilities bool      // privileged: it keeps all
	NoNewPrivileges bool
}

func encode(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

func decode(r io.Reader, v any) error { return json.NewDecoder(r).Decode(v) }
