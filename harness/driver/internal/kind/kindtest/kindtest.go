// Package kindtest has what tests need to start kind clusters on this host.
package kindtest

import (
	"os/exec"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/driver/internal/kind"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Options returns the options for clusters on this host. If it can have none, it ends
// the test with testenv.Missing.
func Options(t testing.TB) kind.Options {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "docker", "info").Run(); err != nil {
		testenv.Missing(t, "a Docker engine (docker info: "+err.Error()+")", "Install and start Docker.")
	}
	o := kind.FromEnvironment()
	image := o.NodeImage
	if image == "" {
		image = kind.DefaultNodeImage
	}
	if exec.CommandContext(t.Context(), "docker", "image", "inspect", image).Run() == nil {
		return o
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "pull", image).CombinedOutput(); err != nil {
		testenv.Missing(t, "kind's node image ("+string(out)+")", "Let Docker pull "+image+", or name one that it has in "+kind.NodeImageVariable+".")
	}
	return o
}

// Flags returns the same options as flags of the verify command.
func Flags(o kind.Options) []string {
	flags := []string{"--cluster=" + kind.Name}
	if o.NodeImage != "" {
		flags = append(flags, "--node-image="+o.NodeImage)
	}
	if o.Config != "" {
		flags = append(flags, "--kind-config="+o.Config)
	}
	return flags
}
