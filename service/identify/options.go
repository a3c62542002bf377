package identify

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/identity"
)

// Defaults of Options.
const (
	defaultTimeout             = 5 * time.Second
	defaultConcurrency         = 256
	DefaultCandidatesPerMinute = 60
	defaultInterval            = time.Hour
	defaultConfirm             = time.Minute
	defaultRest                = 5 * time.Minute
)

// Options configure a Prober. A field that is zero has its default, if there is one.
type Options struct {
	// Rules say what to ask.
	Rules *identity.Rules
	// Timeout bounds one request. Default 5 s.
	Timeout time.Duration
	// Concurrency bounds the identifications at any time. Default 256.
	Concurrency int
	// CandidatesPerMinute bounds how many candidates are asked. Default 60.
	CandidatesPerMinute int
	// Interval is the time between two identifications of one endpoint. Default 1 h.
	Interval time.Duration
	// Confirm is the time before a refutation is asked for again. Default 1 min.
	Confirm time.Duration
	// Rest is the least time between an identification and one because of a recovery.
	// Default 5 min.
	Rest time.Duration

	// AllowCIDRs are networks that may be called although they are refused by default.
	AllowCIDRs []netip.Prefix
	// RootCAs verify certificates; nil means those of the system.
	RootCAs *x509.CertPool
	// Resolver resolves names; nil means Go's own resolver.
	Resolver *net.Resolver

	// Report is called after each identification, never concurrently for one key. It should
	// return soon, as it occupies a worker.
	Report func(service.Key, service.Identity)
	// OnRequest is called for each request, for metrics. The protocol is "http" or "kafka".
	OnRequest func(typ, protocol string)
}

func (o *Options) setDefaults() error {
	for d, def := range map[*time.Duration]time.Duration{&o.Timeout: defaultTimeout, &o.Interval: defaultInterval, &o.Confirm: defaultConfirm, &o.Rest: defaultRest} {
		if *d == 0 {
			*d = def
		}
		if *d < 0 {
			return fmt.Errorf("identify: an option is %v; it must not be negative", *d)
		}
	}
	for n, def := range map[*int]int{&o.Concurrency: defaultConcurrency, &o.CandidatesPerMinute: DefaultCandidatesPerMinute} {
		if *n == 0 {
			*n = def
		}
		if *n < 0 {
			return fmt.Errorf("identify: an option is %d; it must not be negative", *n)
		}
	}
	if o.Report == nil {
		o.Report = func(service.Key, service.Identity) {}
	}
	if o.OnRequest == nil {
		o.OnRequest = func(string, string) {}
	}
	return nil
}
