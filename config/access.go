package config

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Access says who may call, and how often.
type Access struct {
	// Tokens means that callers must send a bearer token that the cluster accepts, and
	// have the right to what they request.
	Tokens    bool
	Audiences []string      // a token must have one of them; empty: those of the API server
	CacheTTL  time.Duration // how long a decision is remembered
	Metrics   bool          // /metrics needs a token as well

	MCPOrigins []string // origins of pages that may use /mcp, besides those of the machine itself

	RateLimit int // requests per second of one client; 0: no limit
	RateBurst int // how many requests may come at once
}

// Values of --auth.
const (
	authNone  = "none"
	authToken = "token"
)

func (f *flagSet) accessFlags(a *Access) {
	f.begin("Access", "Who may call, and how often. The probes, /version and /openapi.json are open to everybody. See docs/authentication.md.")
	f.StringVar(&f.auth, "auth", authNone, "`KIND` of authentication: none, or token: each request needs a bearer token that the cluster's API server accepts, and whose owner it allows the path. The service needs the ClusterRole system:auth-delegator for that. Use token wherever others than the agents can reach the port.")
	f.StringSliceVar(&a.Audiences, "auth-audiences", nil, "`AUDIENCES` of which a token must have at least one, separated by commas; empty for those of the API server. Set it, and the same audience in the agents' projected tokens, so that a token that is sent here is of no use elsewhere.")
	f.DurationVar(&a.CacheTTL, "auth-cache-ttl", minutes(2), "`DURATION` for which the decision about a token is remembered; a refusal, for at most 10 s. Lower it so that a right ends sooner after it was revoked; raise it to call the API server less often, and to go on for longer when it can't be reached.")
	f.BoolVar(&a.Metrics, "auth-metrics", false, "require a token on /metrics as well; its owner must be allowed to get /metrics. Use it where the metrics port can be reached by others than Prometheus.")
	f.StringSliceVar(&a.MCPOrigins, "mcp-origins", nil, "`ORIGINS` of pages that may use /mcp, separated by commas, such as https://agents.example.com; a request with another Origin is answered with 403, unless it is one of this machine, such as http://localhost:6274. Programs send none, so set it only for an agent that runs in a browser, or that sends an Origin all the same.")
	f.IntVar(&a.RateLimit, "rate-limit", 0, "`NUMBER` of requests per second that one client may send; others are answered with 429; 0 for no limit. A client is a user with --auth=token, else an IP address (of IPv6, the first 64 bits). Set it, to 100 for example, where one client might send too many.")
	f.IntVar(&a.RateBurst, "rate-limit-burst", 150, "`NUMBER` of requests that a client may send at once after a pause. Raise it for clients that send many when they start.")
	f.end()
}

func (l *loader) validateAccess() {
	a := &l.settings.Access
	l.choice("auth", l.flags.auth, authNone, authToken)
	a.Tokens = l.flags.auth == authToken
	if a.Tokens && l.settings.Cluster.Manifests != "" {
		l.fail("auth", "is token, but with --manifests there is no cluster that could review tokens: remove one of the two")
	}
	if len(a.Audiences) > 32 {
		l.fail("auth-audiences", "has %d audiences; it must be at most 32", len(a.Audiences))
	}
	for i, audience := range a.Audiences {
		a.Audiences[i] = strings.TrimSpace(audience)
		if audience = a.Audiences[i]; audience == "" || len(audience) > 1024 || strings.ContainsFunc(audience, func(r rune) bool { return r <= ' ' || r > '~' }) {
			l.fail("auth-audiences", "holds %s, which can't be an audience: use visible ASCII characters, such as dynamic-toolset", quote(audience))
		}
	}
	a.Audiences = slices.Compact(slices.Sorted(slices.Values(a.Audiences)))
	a.MCPOrigins = l.origins(a.MCPOrigins)
	l.duration("auth-cache-ttl", a.CacheTTL, time.Second, time.Hour)
	l.number("rate-limit", a.RateLimit, 0, 1_000_000)
	l.number("rate-limit-burst", a.RateBurst, 1, 1_000_000)
	const idle = "has no effect without --auth=token: add that, or remove this"
	if !a.Tokens && len(a.Audiences) > 0 {
		l.fail("auth-audiences", idle)
	}
	if !a.Tokens && a.Metrics {
		l.fail("auth-metrics", idle)
	}
}

// origins checks origins as browsers send them (RFC 6454, section 6.2), since they are
// compared byte for byte.
func (l *loader) origins(list []string) []string {
	for i, o := range list {
		list[i] = strings.TrimSpace(o)
		u, err := url.Parse(list[i])
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != list[i] || strings.ToLower(list[i]) != list[i] || strings.Contains(u.Host, "*") {
			l.fail("mcp-origins", "holds %s, which is no origin: use a scheme and a host in lower case, and a port unless it is the scheme's own, such as https://agents.example.com", quote(list[i]))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// warnAccess warns about settings of Access that work but may be a mistake.
func (l *loader) warnAccess(warn func(format string, args ...any)) {
	if l.settings.HTTP.Pprof && !l.settings.Access.Metrics {
		warn("%s is on, and there is no auth-metrics: whoever reaches %s can slow this process down, and see its command line and what it is doing; switch it off when you have your profile, or set auth-metrics",
			l.where("pprof"), l.settings.HTTP.MetricsListen)
	} else if l.settings.HTTP.Pprof {
		warn("%s is on: whoever may get /dynamic-toolset/debug/pprof/* can slow this process down; switch it off when you have your profile", l.where("pprof"))
	}
	if l.settings.Access.Tokens && l.settings.HTTP.TLSCertFile == "" {
		warn("%s is token, and there is no TLS: whoever can listen on the network between client and service can take tokens from it; set tls-cert-file, or have a service mesh encrypt",
			l.where("auth"))
	}
}
