package configmap

import (
	"errors"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// Pauses before a failed write is tried again.
const (
	firstRetry     = 250 * time.Millisecond
	maxRetry       = 5 * time.Second  // doubled up to this
	namespaceRetry = 3 * time.Second  // the namespace does not exist
	hopelessRetry  = 30 * time.Second // somebody must act first, and a change is noticed anyway
)

// A writeConflict is a conflict with another writer of our keys that repairs them as we
// do, such as a second instance with the same name. It must not cost the API server more
// than one write per second, or fill the log.
type writeConflict struct {
	since, told time.Time
	drifts      int
}

const (
	conflictWindow  = 10 * time.Second
	conflictBackoff = 900 * time.Millisecond // still less than a second, within which drift is repaired
)

// drift notes that somebody else has changed our keys, and reports whether to log it.
func (c *writeConflict) drift(now time.Time) bool {
	if now.Sub(c.since) > conflictWindow {
		c.since, c.drifts = now, 0
	}
	c.drifts++
	if c.drifts > 5 && now.Sub(c.told) < conflictWindow {
		return false
	}
	c.told = now
	return true
}

// gap is the least time between two writes.
func (c *writeConflict) gap(normal time.Duration) time.Duration {
	if c.drifts > 5 && time.Since(c.since) < conflictWindow {
		return max(normal, conflictBackoff)
	}
	return normal
}

func pauseAfter(err error, backoff time.Duration) time.Duration {
	switch outcome(err) {
	case WriteForbidden:
		return retry.Denied
	case WriteInvalid:
		return hopelessRetry
	case WriteMissing:
		return namespaceRetry
	}
	return backoff
}

// gap is the least time between two writes.
func (w *Writer) gap() time.Duration {
	gap := w.writeConflict.gap(w.opts.MinInterval)
	if w.index != nil {
		gap = max(gap, w.limits.gap)
	}
	return gap
}

// explain returns an error that says in a sentence why an apply failed and what to do.
func (w *Writer) explain(number int, err error) error {
	cause := cluster.Clean(err.Error())
	switch {
	case apierrors.IsConflict(err):
		return &cluster.Error{Text: "somebody else has changed the ConfigMap in the meantime: " + cause, Kind: errConflict, Cause: err}
	case apierrors.IsNotFound(err):
		return cluster.NoNamespace(w.ns, err)
	case apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsBadRequest(err):
		return &cluster.Error{Text: "the API server does not take the ConfigMap as it is: " + cause, Kind: errInvalid, Cause: err}
	}
	return w.view.call("create or patch", number).Explain(err)
}

var (
	errInvalid  = errors.New("invalid")
	errConflict = errors.New("conflict")
)

// patientConflicts is the number of conflicts in a row from which on they are logged. A
// few are normal where several write the same object.
const patientConflicts = 5

func outcome(err error) string {
	switch {
	case errors.Is(err, cluster.ErrForbidden), errors.Is(err, cluster.ErrUnauthorized):
		return WriteForbidden
	case errors.Is(err, cluster.ErrNoNamespace):
		return WriteMissing
	case errors.Is(err, errInvalid), errors.Is(err, errTooLarge):
		return WriteInvalid
	case errors.Is(err, errConflict):
		return WriteConflict
	}
	return WriteError
}

// A writeErrorLog logs failed writes when they are new, and then at a limited rate.
type writeErrorLog struct {
	about string
	at    time.Time
}

func (l *writeErrorLog) tell(log *zap.Logger, err error) {
	about := outcome(err)
	if right, ok := errors.AsType[*cluster.MissingRight](err); ok {
		about += right.Verb // the next one may be missing too
	}
	if about != l.about || time.Since(l.at) > time.Minute {
		l.about, l.at = about, time.Now()
		log.Error("The ConfigMap could not be written; it is tried again", zap.Error(err))
	}
}

func (l *writeErrorLog) over(log *zap.Logger) {
	if l.about != "" {
		log.Info("The ConfigMap can be written again")
		*l = writeErrorLog{}
	}
}
