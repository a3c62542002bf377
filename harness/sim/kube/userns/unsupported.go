// Package userns knows what this host and this user may do with user namespaces: which
// ids they can map, and which setting forbids what is forbidden.
package userns

import (
	"fmt"
	"os"
	"strings"
)

// Unsupported is the error if the host does not allow something.
type Unsupported struct {
	What string // what was tried: "mount /proc"
	Err  error
	Help string // a sentence
}

func (e *Unsupported) Error() string { return fmt.Sprintf("%s: %v. %s", e.What, e.Err, e.Help) }

func (e *Unsupported) Unwrap() error { return e.Err }

// Forbidden explains, by the settings of this host, why namespaces could not be made or
// set up.
func Forbidden(what string, err error) error {
	return &Unsupported{What: what, Err: err, Help: explain(read)}
}

// read returns the content of a file, or "" if it can't be read.
func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// explain says what forbids namespaces on this host, and what helps.
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
