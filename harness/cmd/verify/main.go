// Command verify answers whether a rolling update of a Deployment loses requests
// (package verify). See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/klog/v2"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/report"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// Exit codes. A failed verification differs from one without a verdict.
const (
	exitPassed = 0
	exitFailed = 1
	exitUnable = 2 // no verdict, also as the user has interrupted it
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version = "devel"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	f := newFlags()
	defer func() {
		if err := f.imageFlags.close(); err != nil {
			fmt.Fprintf(stderr, "verify: remove the unpacked images by hand: %v\n", err)
		}
	}()
	err := f.parse(args, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitPassed
	case err != nil:
		fmt.Fprintf(stderr, "verify: %v\nverify: --help explains every flag\n", err)
		return exitUnable
	}
	if f.version {
		fmt.Fprintln(stdout, "verify", version)
		return exitPassed
	}
	if f.printRBAC {
		if err := f.writeRBAC(stdout); err != nil {
			fmt.Fprintf(stderr, "verify: %v\n", err)
			return exitUnable
		}
		return exitPassed
	}
	quiet(f.verbose, stderr)
	options, err := f.options(stdin)
	if err == nil {
		options.Command, options.Version = append([]string{"verify"}, args...), version
		err = options.Validate()
	}
	if err != nil {
		fmt.Fprintf(stderr, "verify: this can't work:\n%s\n", indent(err.Error()))
		return exitUnable
	}
	existing, err := f.choose(options, stdin, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "verify: %v\n", err)
		return exitUnable
	}
	// Reports of an earlier run must not be taken for those of this one.
	if err := report.Remove(f.reports); err != nil {
		fmt.Fprintf(stderr, "verify: %v\n", err)
		return exitUnable
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := newProgress(stderr)
	options.Say, options.Live = p.say, p.live
	result, err := verifyIn(ctx, f, options, existing, p)
	p.end()
	if err == nil { // even if an interrupt came when all was measured
		return f.conclude(result, stdout, stderr)
	}
	f.giveUp(err, ctx.Err() != nil, stderr)
	return exitUnable
}

// quiet discards what the Kubernetes client logs, unless verbose is set, since it would
// be mixed with the progress. The errors that the client returns say what matters.
func quiet(verbose bool, stderr io.Writer) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	if verbose {
		klog.SetOutput(stderr)
	}
}

// verifyIn starts the cluster, verifies, and in any case deletes the cluster.
func verifyIn(ctx context.Context, f *flags, o *verify.Options, existing *driver.Existing, p *progress) (result *record.Run, err error) {
	if err := f.unpack(ctx, p.say); err != nil {
		return nil, err
	}
	c, err := f.open(ctx, existing, p)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil && f.verbose {
			err = fmt.Errorf("%w\n%s", err, c.Logs())
		}
		if c.Shared() {
			p.say("deleting the namespace %s", c.Namespace())
		} else {
			p.say("taking the cluster down")
		}
		if left := c.Close(); left != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", verify.ErrLeft, left))
		}
	}()
	return f.prove(ctx, c, o)
}

// conclude writes the reports, prints the verdict and returns the exit code.
func (f *flags) conclude(result *record.Run, stdout, stderr io.Writer) int {
	if f.o.Requests > 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("The verifier needed at most %d MB of memory until then.", peakMemory()>>20))
	}
	width, colour := 80, false
	if file, ok := stdout.(*os.File); ok && term.IsTerminal(int(file.Fd())) { // #nosec G115 -- a file descriptor
		colour = os.Getenv("NO_COLOR") == ""
		if w, _, err := term.GetSize(int(file.Fd())); err == nil { // #nosec G115
			width = w
		}
	}
	files, err := report.WriteAll(f.reports, result)
	if err != nil {
		err = fmt.Errorf("the reports could not be written: %w", err)
	}
	err = errors.Join(err, report.Terminal(stdout, result, report.Aggregate(result), width, colour, files...))
	if err != nil {
		fmt.Fprintf(stderr, "verify: %v\n", err)
		return exitUnable
	}
	if !result.Passed() {
		return exitFailed
	}
	return exitPassed
}

// peakMemory returns how much memory this program has had at most, in bytes.
func peakMemory() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return int64(usage.Maxrss) << 10 // Linux counts in KiB
}
