package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// supported finds out what can be known without trying: the rest the fabric
// reports.
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

// administratorDirs are where programs are that ordinary users' PATH may not name.
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

// componentEnv is the environment of the processes. etcd takes every ETCD_
// variable for a flag, and one left over in a shell must not change the tests;
// and no component may go through a proxy that is meant for the internet.
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
