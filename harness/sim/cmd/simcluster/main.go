// Command simcluster builds and runs the simulated cluster (package harness/sim) for
// people at a terminal. See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/sim"
)

const usage = `Usage: simcluster build | up [flags] | kubectl ...

A real Kubernetes on this machine, as plain processes: etcd, kube-apiserver,
kube-controller-manager, kube-scheduler, and for every node a kubelet, a kube-proxy
and the containers. No Docker, no root, no virtual machine, no images, no network.

  build     Compile the binary that contains all this, and print its path. The first
            compile takes 6 to 15 minutes on 2 cores, the next ones seconds or
            nothing: the result is cached. Run it before the tests in CI.
  up        Start a cluster, print how to use it, and run until interrupted
            (Ctrl-C or SIGTERM). Everything is removed at the end.
  kubectl   Run kubectl, which is in the binary, too, for the cluster that KUBECONFIG
            names, or else for the one that is running.

Flags of up:
`

const examples = `
Examples:
  go build -o simcluster ./harness/sim/cmd/simcluster

  # Two nodes, and a program of yours that pods can run
  CGO_ENABLED=0 go build -o app ./path/to/app
  ./simcluster up --image example/app:v1=./app

  # In another terminal
  ./simcluster kubectl create deployment app --image=example/app:v1 --replicas=3
  ./simcluster kubectl get pods -o wide
  ./simcluster kubectl port-forward deployment/app 8080

  # The API alone, for a program that only talks to Kubernetes (2 s, 400 MB)
  ./simcluster up --control-plane-only

Containers have nothing but the program (as FROM scratch): link it statically.
There is no DNS server: address Services by their ClusterIP or by the variables
that Kubernetes gives to pods (APP_SERVICE_HOST, APP_SERVICE_PORT).
With --control-plane-only there is no controller manager and no node: nothing makes
endpoints for Services, a deleted namespace stays Terminating, and no pod ever runs.

Environment:
  TOOLSET_SIM_BINARY   a binary built elsewhere, used instead of building one
`

func main() {
	code, err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simcluster:", err)
	}
	os.Exit(code)
}

// settings are the flags of up.
type settings struct {
	nodes            int
	controlPlaneOnly bool
	images           []string
	logDir           string
	apiServerFlags   []string
}

func run(args []string, stdout, stderr io.Writer) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// All arguments after kubectl are for kubectl.
	if len(args) > 0 && args[0] == "kubectl" {
		return 1, kubectl(ctx, args[1:], stderr)
	}
	var s settings
	flags := pflag.NewFlagSet("simcluster", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.SortFlags = false
	flags.IntVar(&s.nodes, "nodes", 2, "number of nodes, 1 to 20; each takes about 100 MB")
	flags.StringArrayVar(&s.images, "image", nil, "NAME=BINARY: a program of this machine as the image NAME, for pods to run; may be repeated")
	flags.BoolVar(&s.controlPlaneOnly, "control-plane-only", false, "etcd and kube-apiserver alone, without nodes")
	flags.StringVar(&s.logDir, "log-dir", "", "directory for the processes' logs, which are kept; by default they are removed with the rest")
	flags.StringArrayVar(&s.apiServerFlags, "apiserver-flag", nil, "a flag to add to the kube-apiserver's, for instance --apiserver-flag=--v=4; may be repeated")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage, flags.FlagUsages(), examples)
	}
	for _, a := range args {
		if a == "--help" || a == "-h" {
			flags.SetOutput(stdout) // requested help is output, not an error
		}
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return 0, err
		}
		return 2, err
	}
	switch command := flags.Arg(0); {
	case flags.NArg() != 1:
		return 2, errors.New("say one of: build, up, kubectl (see --help)")
	case command == "build":
		path, err := sim.Build(ctx, stderr)
		if err != nil {
			return 1, err
		}
		fmt.Fprintln(stdout, path)
		return 0, nil
	case command == "up":
		if err := s.up(ctx, stdout, stderr); err != nil {
			return 1, err
		}
		return 0, nil
	default:
		return 2, fmt.Errorf("unknown command %q: say one of build, up, kubectl (see --help)", command)
	}
}

// started is implemented by control planes and clusters.
type started interface {
	Kubeconfig() string
	Dir() string
	Done() <-chan struct{}
	Stop() error
}

// up runs a cluster until ctx ends, which is not an error.
func (s settings) up(ctx context.Context, stdout, stderr io.Writer) error {
	opts := []sim.Option{sim.WithProgress(stderr), sim.WithAPIServerFlags(s.apiServerFlags...), sim.WithNodes(s.nodes)}
	if s.logDir != "" {
		opts = append(opts, sim.WithLogDir(s.logDir))
	}
	images, err := parseImages(s.images)
	if err != nil {
		return err
	}
	if s.controlPlaneOnly && len(images) > 0 {
		return errors.New("--image needs nodes that run it: leave --control-plane-only out")
	}
	begin := time.Now()
	c, what, err := s.start(ctx, opts, images)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, `Ready after %.1f s: %s.

  export KUBECONFIG=%s
  kubectl get all --all-namespaces     (no kubectl here? simcluster kubectl ...)

State and logs: %s
Stop it with Ctrl-C.
`, time.Since(begin).Seconds(), what, c.Kubeconfig(), c.Dir())
	select {
	case <-ctx.Done():
		return c.Stop()
	case <-c.Done():
		return errors.Join(errors.New("the process that holds the cluster was killed"), c.Stop())
	}
}

func (s settings) start(ctx context.Context, opts []sim.Option, images []sim.Image) (started, string, error) {
	if s.controlPlaneOnly {
		cp, err := sim.StartControlPlane(ctx, opts...)
		if err != nil {
			return nil, "", err
		}
		return cp, "a control plane at " + cp.RESTConfig().Host, nil
	}
	c, err := sim.StartCluster(ctx, opts...)
	if err != nil {
		return nil, "", err
	}
	what := fmt.Sprintf("%d nodes, the API at %s", len(c.Nodes()), c.RESTConfig().Host)
	for _, img := range images {
		if err := c.LoadImage(ctx, img); err != nil {
			return nil, "", errors.Join(err, c.Stop())
		}
		what += ", image " + img.Name
	}
	if c.OneUser() {
		what += ". Every container runs as one and the same user: runAsUser and fsGroup have no effect, for want of subordinate user ids (install newuidmap and newgidmap, and see subuid(5))"
	}
	return c, what, nil
}

// parseImages parses NAME=BINARY. The name may not contain "=".
func parseImages(texts []string) ([]sim.Image, error) {
	var images []sim.Image
	for _, text := range texts {
		name, binary, ok := strings.Cut(text, "=")
		if !ok || name == "" || binary == "" {
			return nil, fmt.Errorf("--image=%s: give NAME=BINARY, such as example/app:v1=./app", text)
		}
		if info, err := os.Stat(binary); err != nil || !info.Mode().IsRegular() {
			return nil, fmt.Errorf("--image=%s: %s is no file: build the program first", text, binary)
		}
		inside := "/" + filepath.Base(binary)
		images = append(images, sim.Image{Name: name, Files: map[string]string{inside: binary}, Entrypoint: []string{inside}})
	}
	return images, nil
}
