// Command dynamic-toolset finds the observability back ends of a Kubernetes
// cluster, checks their health, and answers toolset lookups over HTTP.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/internal/app"
	"kubernaut.io/dynamic-toolset/shutdown"
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version = ""

// Exit codes of the commands, besides those of package shutdown.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if slices.Contains(args, "--version") {
		args = []string{"version"}
	}
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	signals := catchSignals(command)
	switch command {
	case "version":
		fmt.Println("dynamic-toolset", versionText(), runtime.Version())
		return exitOK
	case "help":
		config.Usage(os.Stdout)
		return exitOK
	case "generate":
		return generate(args)
	case "explain":
		return explain(args)
	case "mcp":
		return mcp(args)
	case "serve":
		return serve(args, signals)
	default:
		fmt.Fprintf(os.Stderr, "dynamic-toolset: there is no command %q; the commands are serve (the default), generate, explain, mcp, version and help\n", command)
		return exitUsage
	}
}

func serve(args []string, signals *shutdown.Signals) int {
	settings, err := config.Load(args, os.Environ(), os.Stdout)
	switch {
	case errors.Is(err, config.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "dynamic-toolset: these settings can't work; --help explains each:\n%s\n", indent(err.Error()))
		return exitUsage
	}
	code, err := app.Serve(settings, versionText(), signals)
	if err != nil {
		fmt.Fprintf(os.Stderr, "dynamic-toolset: %v\n", err)
		return exitFailed
	}
	return code
}

// generate runs the command generate: it prints what the service would write.
func generate(args []string) int {
	return printOnce("generate", args, config.LoadGenerate, app.Generate)
}

// explain runs the command explain: it prints why a Service is a toolset or not.
func explain(args []string) int {
	return printOnce("explain", args, config.LoadExplain, app.Explain)
}

// mcp runs the command mcp: it answers an agent on standard input and output.
func mcp(args []string) int {
	settings, err := config.LoadMCP(args, os.Environ(), os.Stdout)
	switch {
	case errors.Is(err, config.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "dynamic-toolset mcp: these settings can't work; --help explains each:\n%s\n", indent(err.Error()))
		return exitUsage
	}
	say := func(text string) { fmt.Fprintf(os.Stderr, "dynamic-toolset mcp: %s\n", text) }
	if err := app.MCP(settings, versionText(), os.Stdin, os.Stdout, say); err != nil {
		fmt.Fprintf(os.Stderr, "dynamic-toolset mcp: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// printOnce runs a command that prints something and ends.
func printOnce[S any](command string, args []string, load func(args, environ []string, usage io.Writer) (S, error),
	output func(S, string) (output []byte, warnings []string, err error)) int {
	settings, err := load(args, os.Environ(), os.Stdout)
	switch {
	case errors.Is(err, config.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "dynamic-toolset %s: these settings can't work; --help explains each:\n%s\n", command, indent(err.Error()))
		return exitUsage
	}
	// Nothing is printed until all of it is known to be right, so that a program that
	// reads the output never gets half of it.
	text, warnings, err := output(settings, versionText())
	for _, w := range warnings {
		fmt.Fprintf(os.Stderr, "dynamic-toolset %s: warning: %s\n", command, w)
	}
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "dynamic-toolset %s: %v\n", command, err)
		return exitFailed
	}
	return exitOK
}

// catchSignals starts to catch signals, for the command that is about to run. A service
// that is told to stop before it has served anything exits with 0. Any other command that
// is stopped has not done its work, and exits with 128 plus the signal's number; but mcp
// has none to finish, and agents end it by a signal.
func catchSignals(command string) *shutdown.Signals {
	if command == "mcp" {
		return shutdown.Catch(func(os.Signal) int { return exitOK }, func(os.Signal) {})
	}
	if command != "serve" {
		return shutdown.Catch(shutdown.ExitCode, func(sig os.Signal) {
			fmt.Fprintf(os.Stderr, "dynamic-toolset %s: ended by a signal before it was done: %v\n", command, sig)
		})
	}
	shutdown.IgnorePipes()
	return shutdown.Catch(func(os.Signal) int { return exitOK }, func(sig os.Signal) {
		fmt.Fprintf(os.Stderr, "dynamic-toolset: told to stop before it has served anything: %v\n", sig)
	})
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// versionText returns the version of the release, or else that of the module.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
