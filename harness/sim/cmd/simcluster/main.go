// Command controlplane builds and runs the simulated control plane by hand: a
// real etcd and kube-apiserver without nodes. See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/sim"
)

const usage = `Usage: controlplane build | up [flags]

A real Kubernetes API on this machine, as two plain processes (etcd and
kube-apiserver): no nodes, no containers, no root, no network.

  build   Compile the binary that holds them and print its path. The first
          compile takes 4 to 10 minutes on 2 cores, the next ones seconds or
          nothing: the result is cached. Run it before the tests in CI.
  up      Start a control plane, print how to use it, and run until interrupted
          (Ctrl-C or SIGTERM). Everything is removed at the end.

Flags of up:
`

const examples = `
Examples:
  go run ./harness/sim/cmd/simcluster up
  KUBECONFIG=... kubectl get namespaces     (with the path that up prints)

There is no controller manager and no node: nothing makes endpoints for Services,
a deleted namespace stays Terminating, and no pod ever runs.

Environment:
  TOOLSET_SIM_BINARY   a binary built elsewhere, used instead of building one
`

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, pflag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "controlplane:", err)
			os.Exit(1)
		}
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := pflag.NewFlagSet("controlplane", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	logDir := flags.String("log-dir", "", "directory for the processes' logs, kept at the end; by default they go with the rest")
	apiServerFlags := flags.StringArray("apiserver-flag", nil, "a flag to add to the kube-apiserver's, for instance --apiserver-flag=--v=4; may be repeated")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage, flags.FlagUsages(), examples)
	}
	for _, a := range args {
		if a == "--help" || a == "-h" {
			flags.SetOutput(stdout) // asked for, it is the output
		}
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch command := flags.Arg(0); {
	case flags.NArg() != 1:
		flags.Usage()
		return errors.New("say one of: build, up")
	case command == "build":
		path, err := sim.Build(ctx, stderr)
		if err == nil {
			_, err = fmt.Fprintln(stdout, path)
		}
		return err
	case command == "up":
		opts := []sim.Option{sim.WithProgress(stderr), sim.WithAPIServerFlags(*apiServerFlags...)}
		if *logDir != "" {
			opts = append(opts, sim.WithLogDir(*logDir))
		}
		return up(ctx, stdout, opts)
	default:
		return fmt.Errorf("unknown command %q: say one of build, up (see --help)", command)
	}
}

// up runs a control plane until ctx ends, which is how to stop it and no error.
func up(ctx context.Context, stdout io.Writer, opts []sim.Option) error {
	start := time.Now()
	cp, err := sim.StartControlPlane(ctx, opts...)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, `Ready after %.1f s: %s
  export KUBECONFIG=%s
  kubectl get namespaces
State and logs: %s
Stop it with Ctrl-C.
`, time.Since(start).Seconds(), cp.RESTConfig().Host, cp.Kubeconfig(), cp.Dir())
	select {
	case <-ctx.Done():
		return cp.Stop()
	case <-cp.Done():
		return errors.Join(errors.New("the supervisor of the control plane was killed"), cp.Stop())
	}
}
