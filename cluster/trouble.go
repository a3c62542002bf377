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

// toldEvery is how often a trouble that lasts is logged.
const toldEvery = time.Minute

// A trouble is what is wrong with a list and watch. It tells a failure that is
// new from one more of the same, which would fill the log.
//
// Whoever may list but not watch lists successfully before each failure. That
// is no recovery: only a watch that works is the end of a watch that fails.
type trouble struct {
	verb  string // of the call that failed last; empty while all is well
	text  string
	right *MissingRight // whose lack is the cause; may be nil
	since time.Time     // when this verb began to fail for this cause
	told  time.Time
}

// note records the failure of verb and reports whether to log it.
func (t *trouble) note(verb string, err error) bool {
	right, _ := errors.AsType[*MissingRight](err)
	fresh := verb != t.verb || (right == nil) != (t.right == nil)
	if fresh {
		t.since = time.Now()
	}
	t.verb, t.text, t.right = verb, err.Error(), right
	if !fresh && time.Since(t.told) < toldEvery {
		return false
	}
	t.told = time.Now()
	return true
}

// works notes that verb works and reports whether that ends a trouble.
func (t *trouble) works(verb string) bool {
	if t.verb == "" || t.verb == verbWatch && verb == verbList {
		return false
	}
	*t = trouble{}
	return true
}

// denied returns the right that verb lacks, nil if it lacks none.
func (t *trouble) denied(verb string) *MissingRight {
	if t.verb != verb {
		return nil
	}
	return t.right
}

// lasts reports whether the same has been wrong for some time. An API server that
// has just been started may refuse what it allows a moment later, as soon as it
// knows of all roles.
func (t *trouble) lasts() bool { return time.Since(t.since) >= deniedRetry }
