package main

import (
	"fmt"
	"strings"
)

// A defect is what is wrong with this server.
type defect string

const (
	none                  defect = ""
	exitsAtOnce           defect = "exits-at-once"
	noPropagationWait     defect = "no-propagation-wait"
	ignoresSIGTERM        defect = "ignores-sigterm"
	closesIdleConnections defect = "closes-idle-connections"
	abandonsInFlight      defect = "abandons-in-flight"
	readinessStays200     defect = "readiness-stays-200"
	livenessFails         defect = "liveness-fails"
	drainExceedsGrace     defect = "drain-exceeds-grace"
	unavailableInDrain    defect = "503-while-draining"
	plainTextErrors       defect = "plain-text-errors"
	exitCode1             defect = "exit-code-1"
	resetsAcceptQueue     defect = "resets-accept-queue"
)

// defects has each defect, with what it does and shows.
var defects = []struct {
	name  defect
	about string
}{
	{exitsAtOnce, "exits with 0 as soon as SIGTERM comes: requests in flight and new connections are lost, most log lines are missing"},
	{noPropagationWait, "drains well, but closes the listener at SIGTERM: clients that are still routed here are refused"},
	{ignoresSIGTERM, "goes on as if nothing had happened, until SIGKILL"},
	{closesIdleConnections, "never says Connection: close during the wait, then closes all idle connections at once, without a last check"},
	{abandonsInFlight, "cuts the requests that are in flight after the wait, and says that it drained"},
	{readinessStays200, "readiness answers 200 to the end"},
	{livenessFails, "liveness answers 503 from SIGTERM on"},
	{drainExceedsGrace, "loses nothing, but never ends its drain, until SIGKILL"},
	{unavailableInDrain, "answers 503 to ordinary requests from SIGTERM on"},
	{plainTextErrors, "sends errors as text/plain instead of problem documents"},
	{exitCode1, "does everything right and exits with 1"},
	{resetsAcceptQueue, "accepts nothing after SIGTERM: new connections, probes too, wait in the kernel's queue, and closing the listener resets them"},
}

// parseDefect returns the defect of this name. The error lists the names.
func parseDefect(name string) (defect, error) {
	if name == "" {
		return none, nil
	}
	var names []string
	for _, d := range defects {
		if string(d.name) == name {
			return d.name, nil
		}
		names = append(names, string(d.name))
	}
	return none, fmt.Errorf("--defect: there is no defect %q; the defects are %s", name, strings.Join(names, ", "))
}

// A pattern is one of the shutdowns that DD-007 compares.
type pattern string

const (
	// full is the correct one.
	full pattern = "full"
	// readinessOnly answers 503 to readiness, waits, and exits.
	readinessOnly pattern = "readiness-only"
	// naive closes the listener and exits.
	naive pattern = "naive"
)

func parsePattern(name string) (pattern, error) {
	switch p := pattern(name); p {
	case full, readinessOnly, naive:
		return p, nil
	}
	return "", fmt.Errorf("--shutdown: there is no pattern %q; the patterns are %s, %s and %s", name, full, readinessOnly, naive)
}
