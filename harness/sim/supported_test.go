package sim

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingProgramsAreNamed(t *testing.T) {
	defer func(dirs []string) { administratorDirs = dirs }(administratorDirs)
	administratorDirs = []string{t.TempDir()}
	t.Setenv("PATH", t.TempDir())
	put := func(dir, program string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, program), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	put(os.Getenv("PATH"), "mount", 0o755)
	put(os.Getenv("PATH"), "nft", 0o644) // not executable
	_, err := StartCluster(context.Background(), WithBinary("/nothing"))
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "install the package nftables") {
		t.Errorf("without nft: %v", err)
	}
	put(administratorDirs[0], "nft", 0o755) // outside of PATH
	if _, err := StartCluster(context.Background(), WithBinary("/nothing")); errors.Is(err, ErrUnsupported) || err == nil {
		t.Errorf("with nft: %v, want the binary to be missing", err)
	}
}

func TestEnvironmentHasNoFlagsAndNoProxies(t *testing.T) {
	got := componentEnv([]string{"PATH=/bin", "ETCD_NAME=x", "https_proxy=http://p", "NO_PROXY=x", "HOME=/", "PROXY=x"})
	if strings.Join(got, " ") != "PATH=/bin HOME=/ PROXY=x" {
		t.Errorf("environment: %v", got)
	}
}
