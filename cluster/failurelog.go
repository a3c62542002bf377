package cluster

import (
	"errors"
	"time"

	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// The two calls that follow an object, by their RBAC verbs.
const (
	VerbList  = "list"
	VerbWatch = "watch"
)

// toldEvery is the time between two log lines about a failure that lasts.
const toldEvery = time.Minute

// A FailureLog decides when to log that a list and watch fails: when the failure is new,
// and then once in a while. The zero FailureLog means that all is well. It must be used
// by one goroutine at a time.
//
// Without the right to watch, a list succeeds before each failure of the watch. That does
// not end the failure: only a watch that works does.
type FailureLog struct {
	Text  string        // what is wrong; empty while all is well
	Right *MissingRight // the right that is missing; may be nil
	Since time.Time     // when this call began to fail for this reason

	verb string // of the call that failed last
	told time.Time
}

// Note notes that verb has failed, and reports whether to log it.
func (l *FailureLog) Note(verb string, err error) bool {
	right, _ := errors.AsType[*MissingRight](err)
	fresh := verb != l.verb || (right == nil) != (l.Right == nil)
	if fresh {
		l.Since = time.Now()
	}
	l.verb, l.Text, l.Right = verb, err.Error(), right
	if !fresh && time.Since(l.told) < toldEvery {
		return false
	}
	l.told = time.Now()
	return true
}

// Works notes that verb has succeeded, and reports whether that ends a failure.
func (l *FailureLog) Works(verb string) bool {
	if l.verb == "" || l.verb == VerbWatch && verb == VerbList {
		return false
	}
	*l = FailureLog{}
	return true
}

// Denied returns the right that is missing for verb; nil if there is none.
func (l *FailureLog) Denied(verb string) *MissingRight {
	if l.verb != verb {
		return nil
	}
	return l.Right
}

// Lasts reports whether the failure has lasted for some time. An API server that has just
// started may refuse what it allows a moment later, when it has read all roles.
func (l *FailureLog) Lasts() bool { return time.Since(l.Since) >= retry.Denied }
