//go:build !amd64

package kubelet

import "golang.org/x/sys/unix"

// The architectures with the kernel's generic table of calls have no others.
var chownCalls = []uint32{unix.SYS_FCHOWN, unix.SYS_FCHOWNAT}
