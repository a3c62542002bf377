package middleware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/auth"
)

// authorizerMetrics counts the decisions of an Authorizer.
type authorizerMetrics struct {
	decisions [auth.Allowed + 1]*metrics.Counter // by result
	limited   *metrics.Counter
}

// newAuthorizerMetrics registers the series of what is switched on.
func newAuthorizerMetrics(set *metrics.Set, a *Authorizer) *authorizerMetrics {
	m := &authorizerMetrics{}
	if a.callers != nil {
		for r := range m.decisions {
			m.decisions[r] = set.NewCounter(fmt.Sprintf("toolset_auth_decisions_total{result=%q}", auth.Result(r)))
		}
		entries := func(pick func(valid, invalid int) int) func() float64 {
			return func() float64 { return float64(pick(a.callers.Remembered())) }
		}
		set.NewGauge(`toolset_auth_cache_entries{token="valid"}`, entries(func(valid, _ int) int { return valid }))
		set.NewGauge(`toolset_auth_cache_entries{token="invalid"}`, entries(func(_, invalid int) int { return invalid }))
	}
	if a.limiter != nil {
		m.limited = set.NewCounter("toolset_rate_limited_total")
		set.NewGauge("toolset_rate_limit_clients", func() float64 { return float64(a.limiter.active()) })
	}
	return m
}

// reviewBounds are the histogram buckets for the duration of a review.
var reviewBounds = []time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second,
}

// reviewNames are the names of the kinds of reviews in metrics and the log.
var reviewNames = [...]string{auth.ReviewToken: "token", auth.ReviewAction: "action"}

// toldEvery is the time between two log lines about a failure that lasts.
const toldEvery = time.Minute

// A reviewLog counts the reviews, and logs when the authority gives no answer: once when
// that begins, now and then while it lasts, and once when it ends.
type reviewLog struct {
	log      *zap.Logger
	total    [len(reviewNames)][auth.Allowed + 1]*metrics.Counter
	duration [len(reviewNames)]*Histogram

	mu    sync.Mutex
	since [len(reviewNames)]time.Time // when reviews of a kind began to fail; zero while they work
	told  [len(reviewNames)]time.Time
}

func newReviewLog(log *zap.Logger, set *metrics.Set) *reviewLog {
	l := &reviewLog{log: log}
	for what, name := range reviewNames {
		for r := range l.total[what] {
			l.total[what][r] = set.NewCounter(fmt.Sprintf("toolset_auth_reviews_total{review=%q,result=%q}", name, auth.Result(r)))
		}
		l.duration[what] = NewHistogram("toolset_auth_review_duration_seconds", fmt.Sprintf("review=%q", name), reviewBounds)
	}
	set.RegisterMetricsWriter(func(w io.Writer) {
		for _, h := range l.duration {
			h.Write(w)
		}
	})
	return l
}

// note implements auth.Options.OnReview.
func (l *reviewLog) note(what auth.Review, took time.Duration, outcome auth.Result, err error) {
	l.total[what][outcome].Inc()
	l.duration[what].Observe(took)
	if outcome != auth.Unavailable {
		if outcome != auth.Allowed {
			l.log.Debug("A caller was refused", zap.String("review", reviewNames[what]), zap.Stringer("result", outcome), zap.Error(err))
		}
		if since := l.worksAgain(what); !since.IsZero() {
			l.log.Info("Callers can be reviewed again", zap.String("review", reviewNames[what]), zap.Duration("after", time.Since(since)))
		}
		return
	}
	if !errors.Is(err, context.Canceled) && l.fails(what) {
		l.log.Error("Callers can't be reviewed and get 503, except those whose decision is remembered", zap.String("review", reviewNames[what]), zap.Error(err))
	}
}

// fails notes a failure, and reports whether to log it.
func (l *reviewLog) fails(what auth.Review) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.since[what].IsZero() {
		l.since[what] = now
	}
	if now.Sub(l.told[what]) < toldEvery {
		return false
	}
	l.told[what] = now
	return true
}

// worksAgain notes a success. It returns when the failures before it began; zero if there
// were none, or none was logged.
func (l *reviewLog) worksAgain(what auth.Review) (since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	since, l.since[what] = l.since[what], time.Time{}
	if l.told[what].Before(since) {
		return time.Time{}
	}
	return since
}
