package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// modulePath is the main module. The source of the binary is a nested module in it.
const modulePath = "kubernaut.io/dynamic-toolset"

// sourceDir finds the nested module: beside this file, if the source that this package
// was compiled from is still there; otherwise (after -trimpath) in the checkout around
// the working directory.
func sourceDir() (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		if dir := filepath.Join(filepath.Dir(file), "kube"); isFile(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module "+modulePath+"\n") {
			return filepath.Join(dir, "harness", "sim", "kube"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the source of the simulated cluster (harness/sim/kube) was not found: run inside a checkout of " +
				modulePath + ", or set " + binaryEnv + " to a binary built elsewhere")
		}
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// sourceHash identifies the binary that the files in dir build. It depends on
// everything that goes into the build and on nothing else, so that checkouts with the
// same source share a cache entry. inputs are the parts that are not files.
func sourceHash(dir string, inputs ...string) (string, error) {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%d:%s\n", len(in), in)
	}
	// WalkDir goes in lexical order, so that the hash does not depend on the file
	// system.
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isSource(d.Name()) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%d:%s%d:%s\n", len(name), filepath.ToSlash(name), len(data), data)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hash the source of the simulated cluster: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:20], nil
}

func isSource(name string) bool {
	return name == "go.mod" || name == "go.sum" || strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

var kubernetesRequirement = regexp.MustCompile(`(?m)^\s*(?:require )?k8s\.io/kubernetes (v(\d+)\.(\d+)\.\S+)`)

// linkerFlags returns the -ldflags of the build: without symbols, and with the version
// that Kubernetes' own build sets, from the nested go.mod. Without it, an API server
// takes itself for v0.0.0-master, and disables what it thinks is newer.
func linkerFlags(dir string) (flags, version string, err error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", "", fmt.Errorf("read the nested module of the simulated cluster: %w", err)
	}
	m := kubernetesRequirement.FindStringSubmatch(string(mod))
	if m == nil {
		return "", "", fmt.Errorf("%s requires no k8s.io/kubernetes: restore the line", filepath.Join(dir, "go.mod"))
	}
	flags = "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, m[1], m[2], m[3])
	}
	return flags, m[1], nil
}
