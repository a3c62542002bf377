// Package endpoint says which addresses, names and texts people may give to the service, in
// annotations, overrides and rules.
//
// They end up in documents, and agents put them into command lines. So only characters that
// mean nothing to a shell, a template or a terminal are accepted. Addresses that a health
// check must not call, such as those with cloud credentials, are in [Refusal].
package endpoint

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	maxURLBytes  = 2048
	maxPathBytes = 1024
)

// Parse returns the canonical form of an http or https URL: scheme and host in lower case,
// no trailing slash. If s is none, problem says what is wrong, in words that follow the
// name of the field.
func Parse(s string) (canonical, problem string) {
	switch {
	case s == "":
		return "", "must not be empty; write a URL such as http://grafana.monitoring.svc.cluster.local:3000, or leave it out"
	case len(s) > maxURLBytes:
		return "", "must be at most 2048 characters"
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if scheme = strings.ToLower(scheme); !ok || scheme != "http" && scheme != "https" {
		return "", "must be an absolute http or https URL, such as http://grafana.monitoring.svc.cluster.local:3000"
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if strings.Contains(host, "@") {
		return "", "must not carry a user name or password; give agents credentials by their environment"
	}
	if strings.Contains(rest, "#") {
		return "", "must not have a fragment (#...)"
	}
	if strings.Contains(rest, "?") {
		return "", "must not have a query (?...)"
	}
	if host, problem = parseHost(strings.ToLower(host)); problem != "" {
		return "", problem
	}
	if path = strings.TrimRight(path, "/"); path != "" {
		if problem = PathProblem(path); problem != "" {
			return "", "has a path that " + problem
		}
	}
	canonical = scheme + "://" + host + path
	if u, err := url.Parse(canonical); err != nil || u.Hostname() == "" {
		return "", "must be an absolute http or https URL, such as http://grafana.monitoring.svc.cluster.local:3000"
	}
	return canonical, ""
}

// parseHost checks host[:port] and returns its canonical form.
func parseHost(s string) (canonical, problem string) {
	const badHost = "must have a host that is a DNS name or an IP address (an IPv6 address in brackets), with an optional port"
	host, port := s, ""
	if end := strings.IndexByte(s, ']'); strings.HasPrefix(s, "[") && end > 0 {
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", badHost
		}
		host, port = "["+addr.String()+"]", s[end+1:]
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i:]
		}
		if !IsSubdomain(host) {
			return "", badHost
		}
		// "127.1" and "0x7f.1" are addresses to some programs and names to others.
		last := host[strings.LastIndexByte(host, '.')+1:]
		if _, err := netip.ParseAddr(host); err != nil && last[0] >= '0' && last[0] <= '9' {
			return "", badHost
		}
	}
	if port == "" {
		return host, ""
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16)
	if err != nil || n == 0 || port[0] != ':' {
		return "", "must have a port from 1 to 65535, or none"
	}
	return host + ":" + strconv.FormatUint(n, 10), ""
}

// PathProblem returns why s can't be a path below an endpoint; empty if it can.
func PathProblem(s string) string {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "must start with /, such as /health"
	case len(s) > maxPathBytes:
		return "must be at most 1024 characters"
	}
	for i := range len(s) {
		switch c := s[i]; {
		case isAlnum(c), c == '/', c == '-', c == '.', c == '_', c == '~', c == ':', c == '@', c == '+', c == ',', c == '=':
		default:
			return "must consist of letters, digits and / - . _ ~ : @ + , = only"
		}
	}
	for i, segment := range strings.Split(s[1:], "/") {
		if segment == "." || segment == ".." || segment == "" && i < strings.Count(s, "/")-1 {
			return "must not have empty, . or .. segments"
		}
	}
	return ""
}

// Address returns the host:port of an endpoint, which must be a valid URL.
func Address(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
