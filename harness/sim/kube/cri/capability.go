package cri

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// capabilityNames are the names of capabilities(7), by number.
var capabilityNames = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// defaultCapabilities are those of a container whose pod specifies none, as in
// containerd.
var defaultCapabilities = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE,
	unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// capabilitiesOf returns the capabilities that a container's processes can ever have.
// Root has all of them, other users none until they execute a program that grants them.
func capabilitiesOf(security *runtime.LinuxContainerSecurityContext) (rights, error) {
	r := rights{NoNewPrivileges: security.GetNoNewPrivs()}
	if security.GetPrivileged() {
		r.AllCapabilities = true
		return r, nil
	}
	add, addAll, err := capabilityNumbers(security.GetCapabilities().GetAddCapabilities())
	if err != nil {
		return rights{}, err
	}
	drop, dropAll, err := capabilityNumbers(security.GetCapabilities().GetDropCapabilities())
	if err != nil {
		return rights{}, err
	}
	have := slices.Clone(defaultCapabilities)
	if addAll {
		have = nil
		for n := range capabilityNames {
			have = append(have, uintptr(n))
		}
	}
	// As in containerd, "drop: [ALL], add: [X]" leaves X.
	if dropAll {
		have = nil
	}
	have = slices.DeleteFunc(append(have, add...), func(n uintptr) bool { return slices.Contains(drop, n) })
	slices.Sort(have)
	r.Capabilities = slices.Compact(have)
	return r, nil
}

// capabilityNumbers accepts names with or without "CAP_", in any case. all reports
// whether one of them is "ALL".
func capabilityNumbers(names []string) (numbers []uintptr, all bool, err error) {
	for _, name := range names {
		short := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		if short == "ALL" {
			all = true
			continue
		}
		n := slices.Index(capabilityNames, short)
		if n < 0 {
			return nil, false, fmt.Errorf("there is no capability %q", name)
		}
		numbers = append(numbers, uintptr(n))
	}
	return numbers, all, nil
}
