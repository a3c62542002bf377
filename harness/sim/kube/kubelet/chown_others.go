//go:build !amd64

package kubelet

import "golang.org/x/sys/unix"

// Architectures with the kernel's generic table have no other calls for this.
var chownCalls = []uint32{unix.SYS_FCHOWN, unix.SYS_FCHOWNAT}
