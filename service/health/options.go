package health

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// Defaults of Options; a zero value in Options means these.
const (
	DefaultInterval    = 30 * time.Second
	DefaultTimeout     = 5 * time.Second
	DefaultAttempts    = 3
	DefaultBackoff     = 200 * time.Millisecond
	DefaultConcurrency = 512
	DefaultHistorySize = 5
	DefaultMaxIdle     = 1024
)

// Bounds of Options: beyond these a value is a slip, not a wish.
const (
	MinInterval    = 10 * time.Millisecond
	MaxInterval    = 24 * time.Hour
	MaxTimeout     = 5 * time.Minute
	MaxAttempts    = 10
	MaxConcurrency = 4096
	MaxHistorySize = 100
)

// Options say how a Checker checks. The zero value of a field means its
// default.
type Options struct {
	// Interval is the time between two checks of one endpoint. Default 30 s.
	Interval time.Duration
	// Timeout bounds one attempt, from the name lookup to the status line of
	// the answer. Default 5 s.
	Timeout time.Duration
	// Attempts is how often an endpoint is tried before a check counts as
	// failed. Default 3. One that did not answer in time the last time either
	// is tried once only.
	Attempts int
	// Backoff is the pause after the first failed attempt; it doubles after
	// each further one and is jittered by a quarter. Default 200 ms.
	Backoff time.Duration
	// Concurrency bounds the attempts under way at once, and with them the
	// connections that are not idle, the goroutines, and the concurrent calls
	// of Report, OnStart and OnCheck. Endpoints that answer need few: 10,000
	// that take 50 ms each, every 30 s, 17. Half of them is for those that
	// don't. Default 512: enough for 1,500 of 10,000 that hang.
	Concurrency int
	// HistorySize is how many checks service.Health.History holds. Default 5.
	HistorySize int
	// MaxIdleConns bounds the kept-alive connections; each costs a file
	// descriptor and a few KiB, but no goroutine. An endpoint that gets none
	// is checked over a new connection every time. Default 1024.
	MaxIdleConns int

	// AllowCIDRs lists the networks that may be called although they are
	// refused by default: loopback, link-local, cloud metadata and so on.
	AllowCIDRs []netip.Prefix

	// RootCAs verify the certificates of https endpoints; nil means those of
	// the system.
	RootCAs *x509.CertPool
	// InsecureSkipTLSVerify accepts any certificate. A check proves less
	// then: something answers, but not who.
	InsecureSkipTLSVerify bool

	// Resolver looks names up; nil means the system's configuration, read by
	// Go's own resolver.
	Resolver *net.Resolver

	// Report is called after every finished check, never twice at the same
	// time for one key. It should return fast: meanwhile it occupies one of
	// the Concurrency places.
	Report func(service.Key, service.Health)
	// OnStart is called as every check starts, for metrics. late is how long
	// after the time it was due that is; it grows when Concurrency is too low
	// or the machine too busy.
	OnStart func(class Class, late time.Duration)
	// OnCheck is called after every finished check, for metrics. d is the
	// time that all attempts took, with the pauses between them.
	OnCheck func(key service.Key, ok bool, d time.Duration)
}

// withDefaults returns o with its zero fields filled in, or an error that
// names every field out of bounds.
func (o Options) withDefaults() (Options, error) {
	o.Interval = orDefault(o.Interval, DefaultInterval)
	o.Timeout = orDefault(o.Timeout, DefaultTimeout)
	o.Attempts = orDefault(o.Attempts, DefaultAttempts)
	o.Backoff = orDefault(o.Backoff, DefaultBackoff)
	o.Concurrency = orDefault(o.Concurrency, DefaultConcurrency)
	o.HistorySize = orDefault(o.HistorySize, DefaultHistorySize)
	o.MaxIdleConns = orDefault(o.MaxIdleConns, DefaultMaxIdle)
	if o.Resolver == nil {
		// Go's own: that of the C library blocks a thread per lookup and
		// can't be interrupted.
		o.Resolver = &net.Resolver{PreferGo: true}
	}
	if o.Report == nil {
		o.Report = func(service.Key, service.Health) {}
	}
	if o.OnStart == nil {
		o.OnStart = func(Class, time.Duration) {}
	}
	if o.OnCheck == nil {
		o.OnCheck = func(service.Key, bool, time.Duration) {}
	}
	o.AllowCIDRs = slices.Clone(o.AllowCIDRs)

	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("health: "+format, args...))
		}
	}
	check(o.Interval >= MinInterval && o.Interval <= MaxInterval,
		"Interval is %v; it must be between %v and %v", o.Interval, MinInterval, MaxInterval)
	check(o.Timeout > 0 && o.Timeout <= MaxTimeout,
		"Timeout is %v; it must be above 0 and at most %v", o.Timeout, MaxTimeout)
	check(o.Attempts >= 1 && o.Attempts <= MaxAttempts,
		"Attempts is %d; it must be between 1 and %d", o.Attempts, MaxAttempts)
	check(o.Backoff > 0 && o.Backoff <= MaxTimeout,
		"Backoff is %v; it must be above 0 and at most %v", o.Backoff, MaxTimeout)
	check(o.Concurrency >= 1 && o.Concurrency <= MaxConcurrency,
		"Concurrency is %d; it must be between 1 and %d", o.Concurrency, MaxConcurrency)
	check(o.HistorySize >= 1 && o.HistorySize <= MaxHistorySize,
		"HistorySize is %d; it must be between 1 and %d", o.HistorySize, MaxHistorySize)
	check(o.MaxIdleConns >= 0, "MaxIdleConns is %d; it must not be negative", o.MaxIdleConns)
	for i, p := range o.AllowCIDRs {
		check(p.IsValid(), "AllowCIDRs[%d] is not a network", i)
		o.AllowCIDRs[i] = unmapPrefix(p)
	}
	return o, errors.Join(errs...)
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
