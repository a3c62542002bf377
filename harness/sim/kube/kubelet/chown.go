package kubelet

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/userns"
)

// ignoreChown makes every change of a file's owner succeed and do nothing, in this
// process and its children, where the namespace has one user id only. Every
// container then is that user, whatever its securityContext says; without this,
// kubelet could not even prepare a pod with runAsUser or fsGroup, as it gives the
// files of its volumes to users that do not exist.
//
// It is a seccomp filter that answers these system calls with error 0.
func ignoreChown() error {
	if !userns.OneUser() {
		return nil
	}
	filter := chownFilter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// With TSYNC it holds for all threads. We are root in our namespace and so may
	// set it without giving up that children gain rights.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("ignore changes of files' owners: %w", errno)
	}
	return nil
}

// chownFilter answers the calls in chownCalls with error 0 and lets all else
// through. It need not look at the architecture, as it is no protection: a 32-bit
// child, whose numbers differ, would be let through or be told of success.
func chownFilter() []unix.SockFilter {
	const number = 0 // the offset of nr in struct seccomp_data
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number}}
	for i, call := range chownCalls {
		toSuccess := uint8(len(chownCalls) - i) // over the rest and the permission
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jt: toSuccess})
	}
	return append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO},
	)
}
