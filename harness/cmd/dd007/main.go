// Command dd007 measures what each step of the DD-007 shutdown is worth: the
// same server under the same load in the same cluster, stopped in three ways. It
// writes a table and a picture. See --help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/driver/simulated"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

const usage = `Usage: dd007 [flags]

Measures three ways to stop a server during rolling restarts:

  naive           on SIGTERM it closes its listener and exits, as a program that
                  does nothing about signals nearly does
  readiness-only  on SIGTERM readiness turns 503, and 5 s later it exits
  full            DD-007: readiness 503, 5 s, then the drain

The server is harness/testdata/faulty, the cluster a simulated one. Run it in a
checkout, with Go in PATH. It writes dd-007.md and dd-007.svg.

Flags:
`

// modes are the server's ways to stop, in the order of the table.
var modes = []struct{ name, what string }{
	{"naive", "SIGTERM: close the listener and exit"},
	{"readiness-only", "readiness 503, 5 s, exit"},
	{"full", "DD-007: readiness 503, 5 s, drain, exit"},
}

type settings struct {
	out      string
	rate     float64
	restarts int
	replicas int
	command  []string
}

func main() {
	s := settings{command: append([]string{"go", "run", "./harness/cmd/dd007"}, os.Args[1:]...)}
	f := pflag.NewFlagSet("dd007", pflag.ContinueOnError)
	f.StringVar(&s.out, "out", "docs/verification", "`FOLDER` for the table and the picture")
	f.Float64Var(&s.rate, "rate", 500, "requests per second (`NUMBER`)")
	f.IntVar(&s.restarts, "restarts", 3, "rolling restarts of each (`NUMBER`)")
	f.IntVar(&s.replicas, "replicas", 3, "replicas (`NUMBER`)")
	f.Usage = func() { fmt.Print(usage + f.FlagUsages()) }
	err := f.Parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = s.measure(ctx, os.Stderr)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dd007:", err)
		os.Exit(2)
	}
}

// measure runs the three verifications and writes what they showed.
func (s *settings) measure(ctx context.Context, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "dd007-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	subject, err := build(ctx, dir, "./harness/testdata/faulty", "subject")
	if err != nil {
		return err
	}
	agent, err := build(ctx, dir, "./harness/cmd/loadagent", "loadagent")
	if err != nil {
		return err
	}
	c, err := simulated.Start(ctx, simulated.Options{Progress: progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.LoadImage(ctx, driver.Image{Name: "subject:devel", Files: map[string]string{"/subject": subject}, Entrypoint: []string{"/subject"}}); err != nil {
		return err
	}
	var runs []*record.Run
	for _, mode := range modes {
		fmt.Fprintf(progress, "%s: %s\n", mode.name, mode.what)
		o, err := s.options(dir, agent, mode.name)
		if err != nil {
			return err
		}
		o.Say = func(format string, args ...any) { fmt.Fprintf(progress, "  "+format+"\n", args...) }
		run, err := verify.Run(ctx, c, o)
		if err != nil {
			return fmt.Errorf("%s: %w", mode.name, err)
		}
		runs = append(runs, run)
	}
	return s.write(runs)
}

func build(ctx context.Context, dir, pkg, name string) (string, error) {
	path := filepath.Join(dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// options are those of one mode: all the same but for the server's flag.
func (s *settings) options(dir, agent, mode string) (verify.Options, error) {
	template, err := os.ReadFile("harness/testdata/faulty/deploy.yaml")
	if err != nil {
		return verify.Options{}, fmt.Errorf("run this in the root of a checkout: %w", err)
	}
	args, err := json.Marshal([]string{"--shutdown=" + mode})
	if err != nil {
		return verify.Options{}, err
	}
	file := filepath.Join(dir, mode+".yaml")
	text := strings.NewReplacer("%NAMESPACE%", "dd007-"+mode, "%REPLICAS%", fmt.Sprint(s.replicas), "%GRACE%", "30", "%ARGS%", string(args)).Replace(string(template))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return verify.Options{}, err
	}
	steps, err := scenario.Parse("rolling-restart", s.restarts)
	return verify.Options{
		Command: s.command, Manifests: []string{file}, Service: "subject", AgentBinary: agent, Steps: steps, Scenario: "rolling-restart",
		Baseline: 5 * time.Second, ReadyTimeout: time.Minute, Cleanup: true, Problems: true,
		Traffic: verify.Traffic{
			Rate: s.rate, Paths: []string{"/", "/api/v1/toolsets"}, ErrorPaths: []string{"/no-such-path"}, ExpectJSON: true,
			SlowPath: "/slow?for={duration}", SlowFor: 8 * time.Second, StreamPath: "/events", Streams: 12, PodHeader: "X-Served-By",
		},
	}, err
}
