package kubelet

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/userns"
)

// ignoreChown makes every change of a file's owner a success without effect, in this
// process and its children, if the namespace has only one user id. Every container then
// runs as that user, whatever its securityContext says. Otherwise the kubelet could not
// even prepare a pod with runAsUser or fsGroup, since it changes the owner of volumes'
// files to users that do not exist.
//
// It sets a seccomp filter that answers these system calls with error 0.
func ignoreChown() error {
	if !userns.OneUser() {
		return nil
	}
	filter := chownFilter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// TSYNC sets it for all threads. As root in its namespace, this process may set it
	// without no_new_privs.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("ignore changes of files' owners: %w", errno)
	}
	return nil
}

// chownFilter returns a filter that answers chownCalls with error 0, and allows all
// others. It does not check the architecture, since it is not for protection: calls of
// a 32-bit child, which have other numbers, may be allowed or answered.
func chownFilter() []unix.SockFilter {
	const number = 0 // the offset of nr in struct seccomp_data
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number}}
	for i, call := range chownCalls {
		toSuccess := uint8(len(chownCalls) - i) // over the other calls and the permission
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jt: toSuccess})
	}
	return append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO},
	)
}
