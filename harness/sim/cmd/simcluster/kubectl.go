package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"kubernaut.io/dynamic-toolset/harness/sim"
)

// kubectl replaces this process by kubectl. It returns only if it can't.
func kubectl(ctx context.Context, args []string, stderr io.Writer) error {
	binary, err := sim.Build(ctx, stderr)
	if err != nil {
		return err
	}
	if os.Getenv("KUBECONFIG") == "" && !namesCluster(args) {
		path, err := runningCluster(os.TempDir())
		if err != nil {
			return err
		}
		if err := os.Setenv("KUBECONFIG", path); err != nil {
			return err
		}
	}
	return syscall.Exec(binary, append([]string{"kubectl"}, args...), os.Environ())
}

// namesCluster reports whether the arguments specify a kubeconfig file.
func namesCluster(args []string) bool {
	for _, a := range args {
		if a == "--kubeconfig" || strings.HasPrefix(a, "--kubeconfig=") {
			return true
		}
	}
	return false
}

// runningCluster returns the kubeconfig of the only cluster whose state directory is in
// temp.
func runningCluster(temp string) (string, error) {
	found, err := filepath.Glob(filepath.Join(temp, "dynamic-toolset-sim-*", "admin.kubeconfig"))
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("no cluster runs (none has its state in %s): start one with simcluster up, or set KUBECONFIG", temp)
	case len(found) > 1:
		return "", fmt.Errorf("%d clusters run: set KUBECONFIG to the one you mean: %v", len(found), found)
	}
	return found[0], nil
}
