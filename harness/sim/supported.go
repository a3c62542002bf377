package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// supported checks what can be found out without starting a cluster. The supervisor
// reports the rest.
func supported() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w: it needs Linux, for its namespaces; use a Linux machine or container, or StartControlPlane, which runs anywhere", ErrUnsupported)
	}
	for program, pkg := range map[string]string{"nft": "nftables", "mount": "mount (util-linux)"} {
		if !inPath(program) {
			return fmt.Errorf("%w: the program %s is missing: install the package %s", ErrUnsupported, program, pkg)
		}
	}
	return nil
}

// administratorDirs have programs, but may not be in the PATH of ordinary users.
var administratorDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

func inPath(program string) bool {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), administratorDirs...) {
		info, err := os.Stat(filepath.Join(dir, program))
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// componentEnv returns the environment of the processes. etcd takes every ETCD_
// variable as a flag, and one in somebody's shell must not change tests. And no
// component may use a proxy that is for the internet.
func componentEnv(env []string) []string {
	var kept []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "ETCD_") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			continue
		}
		kept = append(kept, v)
	}
	return kept
}
