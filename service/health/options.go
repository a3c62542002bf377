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

// Defaults of Options.
const (
	DefaultInterval    = 30 * time.Second
	DefaultTimeout     = 5 * time.Second
	defaultAttempts    = 3
	defaultBackoff     = 200 * time.Millisecond
	DefaultConcurrency = 512
	defaultHistorySize = 5
	DefaultMaxIdle     = 1024
)

// Bounds of Options. A value outside of them is a mistake.
const (
	minInterval    = 10 * time.Millisecond
	maxInterval    = 24 * time.Hour
	maxTimeout     = 5 * time.Minute
	maxAttempts    = 10
	maxConcurrency = 4096
	maxHistorySize = 100
)

// Options configure a Checker. A field that is zero has its default.
type Options struct {
	// Interval is the time between two checks of one endpoint. Default 30 s.
	Interval time.Duration
	// Timeout bounds one attempt, from the name lookup to the status line of the answer.
	// Default 5 s.
	Timeout time.Duration
	// Attempts is the number of attempts before a check has failed. Default 3. An endpoint
	// whose last check timed out gets only one if it times out again.
	Attempts int
	// Backoff is the pause after the first failed attempt. It doubles after each further
	// one, and is varied by a quarter. Default 200 ms.
	Backoff time.Duration
	// Concurrency bounds the attempts at any time, and so the connections in use, the
	// goroutines, and the concurrent calls of Report, OnStart and OnCheck. Endpoints that
	// answer need few: 10,000 with 50 ms each, every 30 s, need 17. Those that don't answer
	// get at most half. Default 512, enough for 1,500 of 10,000 that hang.
	Concurrency int
	// HistorySize is the maximal length of service.Health.History. Default 5.
	HistorySize int
	// MaxIdleConns bounds the kept connections. Each costs a file descriptor and a few KiB,
	// but no goroutine. Further endpoints are checked over a new connection every time.
	// Default 1024.
	MaxIdleConns int

	// AllowCIDRs are networks that may be called although they are refused by default:
	// loopback, link-local, cloud metadata and so on.
	AllowCIDRs []netip.Prefix

	// RootCAs verify the certificates of https endpoints; nil means those of the system.
	RootCAs *x509.CertPool
	// InsecureSkipTLSVerify accepts any certificate. Then a check proves that something
	// answers, but not who.
	InsecureSkipTLSVerify bool

	// Resolver resolves names; nil means Go's own resolver with the system's configuration.
	Resolver *net.Resolver

	// Report is called after every finished check, never concurrently for one key. It
	// should return soon, as it occupies a worker.
	Report func(service.Key, service.Health)
	// OnStart is called when a check starts, for metrics. late is how long ago the check
	// was due. It grows if Concurrency is too low or the machine too busy.
	OnStart func(class Class, late time.Duration)
	// OnCheck is called after every finished check, for metrics. d is the time for all
	// attempts and the pauses between them.
	OnCheck func(key service.Key, ok bool, d time.Duration)
}

// withDefaults returns o with defaults for its zero fields, or an error that names all
// fields out of bounds.
func (o Options) withDefaults() (Options, error) {
	o.Interval = orDefault(o.Interval, DefaultInterval)
	o.Timeout = orDefault(o.Timeout, DefaultTimeout)
	o.Attempts = orDefault(o.Attempts, defaultAttempts)
	o.Backoff = orDefault(o.Backoff, defaultBackoff)
	o.Concurrency = orDefault(o.Concurrency, DefaultConcurrency)
	o.HistorySize = orDefault(o.HistorySize, defaultHistorySize)
	o.MaxIdleConns = orDefault(o.MaxIdleConns, DefaultMaxIdle)
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
	check(o.Interval >= minInterval && o.Interval <= maxInterval,
		"Interval is %v; it must be between %v and %v", o.Interval, minInterval, maxInterval)
	check(o.Timeout > 0 && o.Timeout <= maxTimeout,
		"Timeout is %v; it must be above 0 and at most %v", o.Timeout, maxTimeout)
	check(o.Attempts >= 1 && o.Attempts <= maxAttempts,
		"Attempts is %d; it must be between 1 and %d", o.Attempts, maxAttempts)
	check(o.Backoff > 0 && o.Backoff <= maxTimeout,
		"Backoff is %v; it must be above 0 and at most %v", o.Backoff, maxTimeout)
	check(o.Concurrency >= 1 && o.Concurrency <= maxConcurrency,
		"Concurrency is %d; it must be between 1 and %d", o.Concurrency, maxConcurrency)
	check(o.HistorySize >= 1 && o.HistorySize <= maxHistorySize,
		"HistorySize is %d; it must be between 1 and %d", o.HistorySize, maxHistorySize)
	check(o.MaxIdleConns >= 0, "MaxIdleConns is %d; it must not be negative", o.MaxIdleConns)
	for i, p := range o.AllowCIDRs {
		check(p.IsValid(), "AllowCIDRs[%d] is not a network", i)
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
