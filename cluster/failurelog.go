package cluster

import (
	"errors"
	"time"

	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// The two calls by which something is followed, as RBAC calls them.
const (
	VerbList  = "list"
	VerbWatch = "watch"
)

// toldEvery is how often a failure that lasts is logged.
const toldEvery = time.Minute

// A FailureLog holds what is wrong with a list and watch. It tells a failure that is
// new from one more of the same, which would fill the log. The zero FailureLog is one of
// something that works. It is used by one goroutine at a time.
//
// Whoever may list but not watch lists successfully before each failure. That
// is no recovery: only a watch that works is the end of a watch that fails.
type FailureLog struct {
	Text  string        // what is wrong; empty while all is well
	Right *MissingRight // whose lack is the cause; may be nil
	Since time.Time     // when this call began to fail for this cause

	verb string // of the call that failed last
	told time.Time
}

// Note records the failure of verb and reports whether to log it.
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

// Works notes that verb works and reports whether that ends a failure.
func (l *FailureLog) Works(verb string) bool {
	if l.verb == "" || l.verb == VerbWatch && verb == VerbList {
		return false
	}
	*l = FailureLog{}
	return true
}

// Denied returns the right that verb lacks, nil if it lacks none.
func (l *FailureLog) Denied(verb string) *MissingRight {
	if l.verb != verb {
		return nil
	}
	return l.Right
}

// Lasts reports whether the same has been wrong for some time. An API server that
// has just been started may refuse what it allows a moment later, as soon as it
// knows of all roles.
func (l *FailureLog) Lasts() bool { return time.Since(l.Since) >= retry.Denied }
