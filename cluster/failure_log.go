package cluster

import (
	"errors"
	"time"
)

// The two calls by which something is followed, as RBAC calls them.
const (
	verbList  = "list"
	verbWatch = "watch"
)

// toldEvery is how often a failure that lasts is logged.
const toldEvery = time.Minute

// A failureLog holds what is wrong with a list and watch. It tells a failure that is
// new from one more of the same, which would fill the log.
//
// Whoever may list but not watch lists successfully before each failure. That
// is no recovery: only a watch that works is the end of a watch that fails.
type failureLog struct {
	verb  string // of the call that failed last; empty while all is well
	text  string
	right *MissingRight // whose lack is the cause; may be nil
	since time.Time     // when this verb began to fail for this cause
	told  time.Time
}

// note records the failure of verb and reports whether to log it.
func (l *failureLog) note(verb string, err error) bool {
	right, _ := errors.AsType[*MissingRight](err)
	fresh := verb != l.verb || (right == nil) != (l.right == nil)
	if fresh {
		l.since = time.Now()
	}
	l.verb, l.text, l.right = verb, err.Error(), right
	if !fresh && time.Since(l.told) < toldEvery {
		return false
	}
	l.told = time.Now()
	return true
}

// works notes that verb works and reports whether that ends a failure.
func (l *failureLog) works(verb string) bool {
	if l.verb == "" || l.verb == verbWatch && verb == verbList {
		return false
	}
	*l = failureLog{}
	return true
}

// denied returns the right that verb lacks, nil if it lacks none.
func (l *failureLog) denied(verb string) *MissingRight {
	if l.verb != verb {
		return nil
	}
	return l.right
}

// lasts reports whether the same has been wrong for some time. An API server that
// has just been started may refuse what it allows a moment later, as soon as it
// knows of all roles.
func (l *failureLog) lasts() bool { return time.Since(l.since) >= deniedRetry }
