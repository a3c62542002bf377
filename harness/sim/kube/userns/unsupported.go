// Package userns knows what this machine and this user may do with user
// namespaces: which ids they can map, and, where something is forbidden, which
// setting forbids it.
package userns

import (
	"fmt"
	"os"
	"strings"
)

// Unsupported is a failure that is the machine's fault.
type Unsupported struct {
	What string // what was tried: "mount /proc"
	Err  error
	Help string // a sentence
}

func (e *Unsupported) Error() string { return fmt.Sprintf("%s: %v. %s", e.What, e.Err, e.Help) }

func (e *Unsupported) Unwrap() error { return e.Err }

// Forbidden explains a failure to make or to fill namespaces by this machine's
// settings.
func Forbidden(what string, err error) error {
	return &Unsupported{What: what, Err: err, Help: explain(read)}
}

// read returns the content of a file, or nothing.
func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// explain says what is in the way of namespaces on this machine, and what helps.
func explain(read func(path string) string) string {
	var help []string
	if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
		help = append(help, "AppArmor forbids user namespaces here: sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows them")
	}
	if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
		help = append(help, "the kernel is set to forbid user namespaces: sysctl kernel.unprivileged_userns_clone=1 allows them")
	}
	if read("/proc/sys/user/max_user_namespaces") == "0" {
		help = append(help, "the number of user namespaces is limited to none: sysctl user.max_user_namespaces=10000 allows them")
	}
	for _, line := range strings.Split(read("/proc/self/status"), "\n") {
		if value, ok := strings.CutPrefix(line, "Seccomp:"); ok && strings.TrimSpace(value) == "2" {
			help = append(help, "a seccomp filter is on, as in Docker: docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined (with --security-opt apparmor=unconfined where AppArmor is used), or --privileged, allows them")
		}
	}
	if len(help) == 0 {
		help = append(help, "The simulated cluster needs user, network, mount and process namespaces: in a container, run that with --privileged, otherwise see user_namespaces(7)")
	}
	text := strings.Join(help, "; ")
	return strings.ToUpper(text[:1]) + text[1:]
}
