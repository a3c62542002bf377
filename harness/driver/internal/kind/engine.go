package kind

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	kindexec "sigs.k8s.io/kind/pkg/exec"

	"kubernaut.io/dynamic-toolset/harness/cluster"
)

// engineTimeout bounds a request to the Docker engine.
const engineTimeout = 20 * time.Second

// nodesOf is the prefix of the label by which kind marks the nodes of a cluster.
const nodesOf = "io.x-k8s.kind.cluster="

// checkEngine explains what is missing, before kind fails because of it.
func checkEngine(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return fmt.Errorf("%w: a kind cluster needs Docker, and there is no docker command: install it (https://docs.docker.com/engine/install/; on Debian the package docker.io)", cluster.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: a kind cluster needs a Docker engine, and none answers (docker info: %s): start it, and see that you may use it (https://docs.docker.com/engine/install/linux-postinstall/)",
			cluster.ErrUnsupported, lastLine(out, err))
	}
	return nil
}

// checkImage returns an error if the Docker engine does not have an image, before a
// cluster is made for it.
func checkImage(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "image", "inspect", "--format", "{{.Id}}", name).CombinedOutput() // #nosec G204 -- the user names it
	if err != nil {
		return fmt.Errorf("the Docker engine has no image %s (%s); build or pull it first", name, lastLine(out, err))
	}
	return nil
}

// explain says what an error of kind means, with the last output of the command that
// failed.
func explain(err error, nodeImage string) error {
	if err == nil {
		return nil
	}
	text := withOutput(err)
	switch {
	case strings.Contains(text, "failed to pull image"):
		image := nodeImage
		if image == "" {
			image = DefaultNodeImage
		}
		return fmt.Errorf("%w: the node image %s could not be had; where no registry can be reached, name one that the Docker engine has, with --node-image: %s", cluster.ErrUnsupported, image, text)
	case strings.Contains(text, "port is already allocated"):
		return fmt.Errorf("creating the kind cluster: another program took its port meanwhile; try again: %s", text)
	}
	return fmt.Errorf("creating the kind cluster: %s", text)
}

// withOutput returns the text of an error, and the output of the command that failed.
func withOutput(err error) string {
	if run := kindexec.RunErrorForError(err); run != nil && len(run.Output) > 0 {
		return err.Error() + "\n" + tail(string(run.Output), 20)
	}
	return err.Error()
}

// removeNodes removes the nodes of a cluster, even while kind works on them.
func removeNodes(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = exec.CommandContext(ctx, "sh", "-c", removal, "sh", name).Run() // Close tries again, and reports its error
}

// removal is a shell script that removes the nodes of the cluster $1.
const removal = `nodes=$(docker ps -aq --filter "label=` + nodesOf + `$1") && [ -z "$nodes" ] || docker rm -fv $nodes`

// Logs returns the last log lines of the nodes' kubelets.
func (c *kindCluster) Logs() string {
	var b strings.Builder
	for _, n := range c.nodes {
		ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
		out, err := exec.CommandContext(ctx, "docker", "exec", n.String(), "journalctl", "--no-pager", "-u", "kubelet", "-n", "20").CombinedOutput() // #nosec G204 -- a node of ours
		cancel()
		if err != nil {
			out = append(out, []byte(err.Error())...)
		}
		fmt.Fprintf(&b, "the kubelet of %s:\n%s\n", n, out)
	}
	return b.String()
}

// lastLine returns the last line of a command's output, or its error if there is none.
func lastLine(out []byte, err error) string {
	text := strings.TrimSpace(string(out))
	if text == "" || errors.Is(err, context.DeadlineExceeded) {
		return err.Error()
	}
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
