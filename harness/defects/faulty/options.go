package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// options are the flags and the environment.
type options struct {
	listen           string
	defect           defect
	shutdown         pattern
	propagationDelay time.Duration
	drainTimeout     time.Duration
	crashAfter       time.Duration // zero: never
	neverReady       bool
	podName          string // sent as X-Served-By
}

// parseOptions parses args and the environment. If help is requested, it writes the
// usage to output and returns flag.ErrHelp.
func parseOptions(args []string, getenv func(string) string, output io.Writer) (options, error) {
	var o options
	var defectName, patternName string
	f := flag.NewFlagSet("faulty", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the caller prints the error
	f.StringVar(&o.listen, "listen", ":8080", "`address` to serve on; port 0 picks one, see the first log line")
	f.StringVar(&defectName, "defect", "", "`name` of the defect to have; none by default")
	f.StringVar(&patternName, "shutdown", string(full), "`pattern`: full, readiness-only (503, wait, exit) or naive (close the listener, exit)")
	f.DurationVar(&o.propagationDelay, "propagation-delay", 5*time.Second, "how long everything goes on as before after SIGTERM")
	f.DurationVar(&o.drainTimeout, "drain-timeout", 30*time.Second, "how long the drain after that may take; then what is left is cut, and the exit code is 1")
	f.DurationVar(&o.crashAfter, "crash-after", 0, "exit with code 3 after this time; 0: never")
	f.BoolVar(&o.neverReady, "never-ready", false, "readiness answers 503 from the start")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(output)
			usage(f)
		}
		return o, err
	}
	var errs [2]error
	o.defect, errs[0] = parseDefect(defectName)
	o.shutdown, errs[1] = parsePattern(patternName)
	if err := errors.Join(errs[:]...); err != nil {
		return o, err
	}
	o.podName = servedBy(getenv("POD_NAME"))
	return o, o.check(f.Args())
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("there is nothing to do with %q; this command takes flags only", rest)
	case o.propagationDelay < 0:
		return fmt.Errorf("--propagation-delay is %s; give a time of 0 or more", o.propagationDelay)
	case o.drainTimeout <= 0:
		return fmt.Errorf("--drain-timeout is %s; give a time of more than 0", o.drainTimeout)
	case o.crashAfter < 0:
		return fmt.Errorf("--crash-after is %s; give a time of more than 0, or 0 for never", o.crashAfter)
	case o.defect != none && o.shutdown != full:
		return fmt.Errorf("--defect=%s and --shutdown=%s are two deviations at once; give one of them", o.defect, o.shutdown)
	}
	return nil
}

func usage(f *flag.FlagSet) {
	w := f.Output()
	fmt.Fprint(w, "Usage: faulty [flags]\n\nA server for a pod with one planted defect. POD_NAME is sent as X-Served-By.\n\n") //nolint:errcheck // help
	f.PrintDefaults()
	fmt.Fprint(w, "\nDefects:\n") //nolint:errcheck // help
	for _, d := range defects {
		fmt.Fprintf(w, "  %-24s %s\n", d.name, d.about) //nolint:errcheck // help
	}
}

// servedBy returns name as a header value; if it is empty, the host's name, which in a
// pod is the name of the pod.
func servedBy(name string) string {
	if name == "" {
		name, _ = os.Hostname()
	}
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, name)
	if name == "" {
		return "unknown"
	}
	return name
}
