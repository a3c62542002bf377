package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"kubernaut.io/dynamic-toolset/transport/certificate"
)

// validate adds problems and warnings about the settings, each alone and in combination.
// A setting whose value could not be parsed has its problem already, and holds its valid
// default here.
func (l *loader) validate() {
	l.validateCluster()
	l.validateHTTP()
	l.validateAccess()
	l.validateHealth()
	l.validateConfigMap()
	l.validateHolmesGPT()
	l.validateDocuments()
	l.validateRest()
	l.warn()
}

// fail adds a problem with one setting.
func (l *loader) fail(flag, format string, args ...any) {
	l.problem("%s %s", l.where(flag), fmt.Sprintf(format, args...))
}

func (l *loader) duration(flag string, d, least, most time.Duration) {
	if d < least || d > most {
		l.fail(flag, "is %s; it must be between %s and %s", short(d), short(least), short(most))
	}
}

func (l *loader) number(flag string, n, least, most int) {
	if n < least || n > most {
		l.fail(flag, "is %d; it must be between %d and %d", n, least, most)
	}
}

func (l *loader) size(flag string, n, least, most int) {
	if n < least || n > most {
		l.fail(flag, "is %d bytes; it must be between %s and %s", n, (*byteSize)(&least), (*byteSize)(&most))
	}
}

// file reports whether a file can be read, and adds a problem if not.
func (l *loader) file(flag, path string) bool {
	f, err := os.Open(path)
	if err != nil {
		l.fail(flag, "names a file that can't be used: %v", explain(path, err))
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		l.fail(flag, "must name a file, but %s is a folder", path)
		return false
	}
	return true
}

// validateManifests looks whether manifests can be read from a place.
func (l *loader) validateManifests(place string) {
	if place == "-" {
		return
	}
	info, err := os.Stat(place)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		l.fail("manifests", "must name a folder or a file, but %s is neither; for what a program prints give - and pipe it into standard input", place)
		return
	}
	if err == nil {
		var f *os.File
		if f, err = os.Open(place); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		l.fail("manifests", "must name a folder or a file that can be read, or be - for standard input: %v", explain(place, err))
	}
}

func (l *loader) validateCluster() {
	c := &l.settings.Cluster
	c.InCluster = c.Manifests == "" && c.Kubeconfig == ""
	switch {
	case c.Manifests != "" && (c.Kubeconfig != "" || c.Context != ""):
		other := "kubeconfig"
		if c.Kubeconfig == "" {
			other = "context"
		}
		l.problem("%s and %s can't go together: remove one of them, to watch either manifests or a cluster", l.where("manifests"), l.where(other))
	case c.Manifests != "" && len(l.flags.namespaces) > 0:
		l.problem("%s and %s can't go together: manifests are read whole; leave out the manifests of other namespaces instead", l.where("manifests"), l.where("namespaces"))
	case c.Kubeconfig == "" && c.Context != "":
		l.fail("context", "needs the kubeconfig file that the context is in: add --kubeconfig=FILE")
	case c.InCluster && l.env["KUBERNETES_SERVICE_HOST"] == "":
		l.problem("there is no cluster to watch: give --manifests=PATH to watch a folder or a file, or --kubeconfig=FILE (and --context=NAME) to watch a cluster, or run the service inside a cluster (KUBERNETES_SERVICE_HOST is not set here)")
	}
	if c.Manifests != "" {
		l.validateManifests(c.Manifests)
	}
	if c.Kubeconfig != "" {
		l.file("kubeconfig", c.Kubeconfig)
	}
	for _, ns := range l.flags.namespaces {
		ns = strings.TrimSpace(ns)
		if wrong := validation.IsDNS1123Label(ns); len(wrong) > 0 {
			l.fail("namespaces", "holds %s, which can't be a namespace: use lower-case letters, digits and '-', at most 63", quote(ns))
		} else if !slices.Contains(c.Namespaces, ns) {
			c.Namespaces = append(c.Namespaces, ns)
		}
	}
	if wrong := validation.IsDNS1123Subdomain(c.Domain); len(wrong) > 0 {
		l.fail("cluster-domain", "is %s, which is no DNS name; write it like cluster.local, without a dot at either end", quote(c.Domain))
	}
	l.duration("kubernetes-unavailable-grace", c.UnavailableGrace, 0, time.Hour)
	l.duration("resync", c.Resync, 10*time.Second, 24*time.Hour)
}

func (l *loader) validateHTTP() {
	h, limits := &l.settings.HTTP, &l.settings.Limits
	apiHost, apiPort, apiOK := l.address("listen", h.Listen)
	metricsHost, metricsPort, metricsOK := l.address("metrics-listen", h.MetricsListen)
	if apiOK && metricsOK && apiPort == metricsPort && apiPort != 0 &&
		(apiHost == metricsHost || anyHost(apiHost) || anyHost(metricsHost)) {
		l.problem("%s (%s) and %s (%s) can't both listen on port %d; change one of the ports",
			l.where("listen"), h.Listen, l.where("metrics-listen"), h.MetricsListen, apiPort)
	}
	if len(h.ServedBy) > 253 || strings.ContainsFunc(h.ServedBy, func(r rune) bool { return r <= ' ' || r > '~' }) {
		l.fail("served-by", "is %s; it must be at most 253 visible ASCII characters, such as a pod's name", quote(h.ServedBy))
	}
	l.validateTLS()
	l.duration("read-timeout", h.ReadTimeout, time.Millisecond, 10*time.Minute)
	l.duration("write-timeout", h.WriteTimeout, time.Millisecond, 10*time.Minute)
	l.duration("idle-timeout", h.IdleTimeout, time.Millisecond, 24*time.Hour)
	if h.MaxConnectionAge != 0 && (h.MaxConnectionAge < time.Second || h.MaxConnectionAge > 24*time.Hour) {
		l.fail("max-connection-age", "is %s; it must be 0 (never) or between 1s and 24h", short(h.MaxConnectionAge))
	}
	l.choice("event-loop", string(h.EventLoop), string(EventLoopAuto), string(EventLoopOff))
	l.number("max-connections", limits.MaxConnections, 1, 1_000_000)
	l.number("max-watchers", limits.MaxWatchers, 0, 1_000_000)
	l.size("max-request-body", limits.MaxRequestBody, 1<<10, 64<<20)
	l.size("max-header-bytes", limits.MaxHeaderBytes, 1<<10, 1<<20)
}

// validateTLS loads the certificate, so that a bad one is reported before the service
// starts, together with all other problems.
func (l *loader) validateTLS() {
	h := &l.settings.HTTP
	switch {
	case h.TLSCertFile == "" && h.TLSKeyFile == "":
	case h.TLSKeyFile == "":
		l.fail("tls-cert-file", "needs the key of the certificate: add --tls-key-file=FILE")
	case h.TLSCertFile == "":
		l.fail("tls-key-file", "needs the certificate of the key: add --tls-cert-file=FILE")
	default:
		if _, err := certificate.Load(h.TLSCertFile, h.TLSKeyFile); err != nil {
			l.fail("tls-cert-file", "can't be used: %v", err)
		}
	}
}

// address splits host:port, and adds a problem if it is no address to listen on.
func (l *loader) address(flag, address string) (host string, port int, ok bool) {
	const form = "it must have the form host:port or :port, such as :8080 or 127.0.0.1:8080"
	if address == "" {
		l.fail(flag, "is empty, but can't be switched off; %s", form)
		return "", 0, false
	}
	host, text, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil:
		l.fail(flag, "is %s; %s", quote(address), form)
		return "", 0, false
	case portErr != nil:
		l.fail(flag, "is %s; the port must be a number between 0 and 65535", quote(address))
		return "", 0, false
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && len(validation.IsDNS1123Subdomain(strings.ToLower(host))) > 0 {
		l.fail(flag, "is %s; the host must be an IP address of this machine or a name for one", quote(address))
		return "", 0, false
	}
	return host, int(n), true
}

// anyHost reports whether a host stands for all addresses of the machine.
func anyHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

func (l *loader) validateHealth() {
	h := &l.settings.Health
	l.duration("health-interval", h.Interval, 100*time.Millisecond, 24*time.Hour)
	l.duration("health-timeout", h.Timeout, 10*time.Millisecond, 5*time.Minute)
	l.number("health-attempts", h.Attempts, 1, 10)
	l.number("health-concurrency", h.Concurrency, 1, 4096)
	if h.CAFile != "" && l.file("health-ca-file", h.CAFile) {
		if _, err := h.RootCAs(); err != nil {
			l.fail("health-ca-file", "can't be used: %v", err)
		}
	}
	for _, text := range l.flags.cidrs {
		prefix, err := parsePrefix(strings.TrimSpace(text))
		if err != nil {
			l.fail("allow-endpoint-cidrs", "holds %s; %v", quote(text), err)
			continue
		}
		h.AllowEndpointCIDRs = append(h.AllowEndpointCIDRs, prefix)
	}
	if text := l.flags.dnsServer; text != "" {
		var err error
		if h.DNSServer, err = netip.ParseAddrPort(text); err != nil || h.DNSServer.Port() == 0 {
			l.fail("dns-server", "is %s; it must be an IP address and a port, such as 10.96.0.10:53 or [fd00::a]:53", quote(text))
			h.DNSServer = netip.AddrPort{}
		}
	}
}

// parsePrefix parses a network, or a single address as a network of one.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, errors.New("it must be a network such as 10.0.0.0/8 or fd00::/8, or an address")
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("the address has bits behind the first %d: write %s if the whole network is meant, or the address without /%d",
			prefix.Bits(), prefix.Masked(), prefix.Bits())
	}
	return prefix, nil
}

// validateDocuments checks which documents are generated.
func (l *loader) validateDocuments() {
	d := &l.settings.Documents
	var outputs []string
	for _, format := range d.Outputs {
		if !slices.Contains(formats, format) {
			l.fail("outputs", "holds %s; the formats are %s", quote(format), strings.Join(formats, ", "))
		} else if !slices.Contains(outputs, format) {
			outputs = append(outputs, format)
		}
	}
	if len(d.Outputs) == 0 {
		l.fail("outputs", "is empty: name at least one format, or set --configmap-enabled=false to write none")
	}
	d.Outputs = outputs
	if d.OwnURL == "" {
		return
	}
	u, err := url.Parse(d.OwnURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != d.OwnURL {
		l.fail("own-url", "is %s: write an http or https URL without user, query and fragment, such as http://dynamic-toolset.kubernaut-system.svc.cluster.local:8080", quote(d.OwnURL))
	}
}

func (l *loader) validateConfigMap() {
	c, manifests := &l.settings.ConfigMap, l.settings.Cluster.Manifests != ""
	if wrong := validation.IsDNS1123Label(c.Namespace); len(wrong) > 0 {
		l.fail("configmap-namespace", "is %s, which can't be a namespace: use lower-case letters, digits and '-', at most 63", quote(c.Namespace))
	}
	if wrong := validation.IsDNS1123Subdomain(c.Name); len(wrong) > 0 {
		l.fail("configmap-name", "is %s, which can't be the name of a ConfigMap: use lower-case letters, digits, '-' and '.', at most 253", quote(c.Name))
	}
	if wrong := validation.IsDNS1123Subdomain(c.Lease); len(wrong) > 0 {
		l.fail("leader-election-lease", "is %s, which can't be the name of a Lease: use lower-case letters, digits, '-' and '.', at most 253", quote(c.Lease))
	}
	if manifests {
		if c.Enabled && l.origin["configmap-enabled"] != "" {
			l.fail("configmap-enabled", "can't be true with --manifests, where there is no cluster to write to: remove it, and use --write-configmap=FILE to get the ConfigMap as a file")
		}
		c.Enabled = false
		if c.LeaderElection && l.origin["leader-election"] != "" {
			l.fail("leader-election", "can't be true with --manifests, where there is no cluster that holds a lease: remove it")
		}
	} else if c.Write != "" {
		l.fail("write-configmap", "works with --manifests only: add --manifests=PATH, or remove it to write the ConfigMap to the cluster")
	}
	c.LeaderElection = c.LeaderElection && c.Enabled
	if c.Write != "" && c.Write != "-" {
		if info, err := os.Stat(c.Write); err == nil && info.IsDir() {
			l.fail("write-configmap", "must name a file, but %s is a folder", c.Write)
		} else if dir, err := os.Stat(filepath.Dir(c.Write)); err != nil || !dir.IsDir() {
			l.fail("write-configmap", "names a file in a folder that does not exist: create %s", filepath.Dir(c.Write))
		}
	}
}

func (l *loader) validateRest() {
	s := l.settings
	l.choice("identify", string(s.Discovery.Identify), string(IdentifyOff), string(IdentifyRecognised), string(IdentifyCandidates))
	l.number("identify-candidates-per-minute", s.Discovery.CandidatesPerMinute, 1, 6000)
	if s.Discovery.Rules != "" {
		l.file("rules", s.Discovery.Rules)
	}
	l.duration("shutdown-propagation-delay", s.Shutdown.PropagationDelay, 0, 5*time.Minute)
	l.duration("shutdown-drain-timeout", s.Shutdown.DrainTimeout, time.Millisecond, time.Hour)
	l.choice("log-level", s.Logs.Level, "debug", "info", "warn", "error")
	l.choice("log-format", s.Logs.Format, "auto", "json", "console")
}

func (l *loader) choice(flag, value string, choices ...string) {
	if !slices.Contains(choices, value) {
		last := len(choices) - 1
		l.fail(flag, "is %s; it must be %s or %s", quote(value), strings.Join(choices[:last], ", "), choices[last])
	}
}
