// Package defects proves the verifier of rolling updates. It has one server, correct or
// with a planted defect (harness/defects/faulty), and says what a verification must
// report about each.
//
// A verifier that lets a defect pass is worthless. So is one that fails a correct
// server, since it would catch every defect, too. So each defect has the checks that
// must catch it, and the ways in which requests must be lost. [Case.Judge] compares a
// run with these. The tests of package verify do this in a simulated cluster, and the
// command compare in other clusters, too.
package defects

import (
	"fmt"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// A Case is one variant of the server, and what a verification must report about it.
type Case struct {
	// Name is the defect, as the server's flag --defect takes it. Empty: the server is
	// correct, and must pass.
	Name  string
	About string // what the server does, in a few words
	// Grace is the pods' terminationGracePeriodSeconds. It is short if the defect
	// should outlast it.
	Grace int
	// Checks are the identifiers of checks that must fail. Others may.
	Checks []string
	// Losses must all occur.
	Losses []Loss
	// FromStart says that requests are lost even before the first step. In all other
	// cases, the defect must be found by what happens when pods stop.
	FromStart bool
}

// A Loss is a client class, and outcomes of which at least one request must have one.
type Loss struct {
	Class record.Class // empty: any class
	By    []record.Outcome
}

// Grace periods, in seconds.
const (
	ampleGrace = 30 // more than the slowest request needs
	shortGrace = 8  // less than a defect needs that should outlast it
)

// Right returns the server without a defect.
func Right() Case { return Case{About: "does everything right", Grace: ampleGrace} }

// Planted returns the defects, in the order of the server's own list.
func Planted() []Case {
	blind, fresh, slow := verdict.RequestsID(record.Blind), verdict.RequestsID(record.New), verdict.RequestsID(record.Slow)
	cut := []record.Outcome{record.EOFMid, record.ResetMid}
	return []Case{
		{
			Name: "exits-at-once", About: "exits at once on SIGTERM", Grace: ampleGrace, Checks: []string{fresh, slow},
			Losses: []Loss{
				{By: cut},
				{Class: record.New, By: []record.Outcome{record.Refused, record.DialTimeout, record.DialFailed, record.ResetBefore, record.EOFBefore}},
			},
		},
		{
			Name: "no-propagation-wait", About: "drains, but does not wait for the propagation", Grace: ampleGrace, Checks: []string{fresh},
			Losses: []Loss{{Class: record.New, By: []record.Outcome{record.Refused, record.DialTimeout}}},
		},
		{Name: "ignores-sigterm", About: "ignores SIGTERM", Grace: shortGrace, Checks: []string{verdict.GraceID}},
		{
			Name: "closes-idle-connections", About: "closes idle kept connections at once", Grace: ampleGrace, Checks: []string{blind},
			Losses: []Loss{{Class: record.Blind, By: []record.Outcome{record.EOFBefore, record.ResetBefore}}},
		},
		{
			Name: "abandons-in-flight", About: "abandons what is in flight after the wait", Grace: ampleGrace, Checks: []string{slow},
			Losses: []Loss{{Class: record.Slow, By: cut}},
		},
		{Name: "readiness-stays-200", About: "readiness stays 200", Grace: ampleGrace, Checks: []string{verdict.ReadinessID}},
		{Name: "liveness-fails", About: "liveness fails during the drain", Grace: ampleGrace, Checks: []string{verdict.LivenessID}},
		{Name: "drain-exceeds-grace", About: "drains for longer than the grace period", Grace: shortGrace, Checks: []string{verdict.GraceID}},
		{
			Name: "503-while-draining", About: "503 to ordinary requests while it drains", Grace: ampleGrace, Checks: []string{blind},
			Losses: []Loss{{By: []record.Outcome{record.UnexpectedStatus}}},
		},
		{
			Name: "plain-text-errors", About: "errors as plain text", Grace: ampleGrace, Checks: []string{verdict.ProblemsID},
			Losses: []Loss{{By: []record.Outcome{record.NotProblem}}}, FromStart: true,
		},
		{Name: "exit-code-1", About: "exits with code 1", Grace: ampleGrace, Checks: []string{verdict.ExitCodeID}},
		{
			Name: "resets-accept-queue", About: "resets the connections in its accept queue", Grace: ampleGrace, Checks: []string{fresh},
			Losses: []Loss{{Class: record.New, By: []record.Outcome{record.ResetBefore}}},
		},
	}
}

// Named returns the case of a defect; the empty name is that of Right.
func Named(name string) (Case, error) {
	for _, c := range append(Planted(), Right()) {
		if c.Name == name {
			return c, nil
		}
	}
	return Case{}, fmt.Errorf("there is no planted defect %q", name)
}

// args returns the arguments of the server's program.
func (c *Case) args() []string {
	if c.Name == "" {
		return []string{}
	}
	return []string{"--defect=" + c.Name}
}
