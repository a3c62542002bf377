package verify

import (
	"errors"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// ErrLeft is wrapped by errors that say what is left in the cluster.
var ErrLeft = errors.New("something is left in the cluster")

// Incomplete is the error of a run that ended before its time, with what was measured
// until then. That is no verdict: requests were under way, and pods had not ended.
type Incomplete struct {
	Run *record.Run // without checks
	Err error
}

func (e *Incomplete) Error() string { return e.Err.Error() }

func (e *Incomplete) Unwrap() error { return e.Err }

// incomplete adds what was measured to an error.
func (v *verification) incomplete(err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.run.Requests) == 0 {
		return err
	}
	run := v.run // the load may still say of a last request
	run.Ended = time.Now()
	if n := len(run.Phases); n > 0 && run.Phases[n-1].Ended.IsZero() {
		run.Phases[n-1].Ended = run.Ended
	}
	return &Incomplete{Run: &run, Err: err}
}
