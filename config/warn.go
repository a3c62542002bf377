package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// gracePeriod is terminationGracePeriodSeconds in the manifests of deploy/.
const gracePeriod = 45 * time.Second

// warn adds warnings about settings that work but are probably not what somebody wants.
func (l *loader) warn() {
	s := l.settings
	warn := func(format string, args ...any) { s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...)) }

	drain := s.Shutdown.DrainTimeout
	for _, t := range []struct {
		flag string
		time.Duration
	}{{"read-timeout", s.HTTP.ReadTimeout}, {"write-timeout", s.HTTP.WriteTimeout}} {
		if t.Duration > drain {
			warn("%s (%s) is longer than shutdown-drain-timeout (%s): a slow request can be cut off at shutdown; lower the one or raise the other",
				l.where(t.flag), short(t.Duration), short(drain))
		}
	}
	if sum := s.Shutdown.PropagationDelay + drain; sum >= gracePeriod {
		warn("shutdown-propagation-delay and shutdown-drain-timeout are %s together: terminationGracePeriodSeconds of the pod must be higher (it is %.0f in the manifests that come with the service)",
			short(sum), gracePeriod.Seconds())
	}
	if s.Shutdown.PropagationDelay == 0 {
		warn("%s is 0: nodes still send requests here while the service stops, and these are lost; only right outside of a cluster",
			l.where("shutdown-propagation-delay"))
	}

	if s.HolmesGPT.ReloadURL != "" && !s.ConfigMap.Enabled {
		warn("%s has no effect, as no ConfigMap is written", l.where("holmesgpt-reload-url"))
	}
	if c := &s.ConfigMap; c.LeaderElection && c.Name != DefaultConfigMap && c.Lease == DefaultLease {
		warn("%s is changed and leader-election-lease is not: if another installation in the namespace has the same lease, only one of the two writes its ConfigMap; give each a lease of its own",
			l.where("configmap-name"))
	}

	if s.Cluster.Kubeconfig != "" && s.ConfigMap.Enabled {
		warn("with %s this process, too, stands for the lease %s/%s and then writes the ConfigMap %s/%s of that cluster, by its own settings; add --configmap-enabled=false to read only",
			l.where("kubeconfig"), s.ConfigMap.Namespace, s.ConfigMap.Lease, s.ConfigMap.Namespace, s.ConfigMap.Name)
	}

	l.warnAccess(warn)

	h := &s.Health
	if !h.Enabled {
		return // the other settings have no effect
	}
	if h.InsecureSkipTLSVerify {
		text := "%s accepts any certificate: anyone can answer health checks in a back end's place; prefer --health-ca-file"
		if h.CAFile != "" {
			text = "%s accepts any certificate, so that health-ca-file has no effect; remove it"
		}
		warn(text, l.where("health-insecure-skip-tls-verify"))
	}
	if longest := time.Duration(h.Attempts) * h.Timeout; longest > h.Interval {
		warn("a back end that hangs is checked for %s (health-attempts times health-timeout), longer than health-interval (%s): it is checked less often than that; lower one of the former or raise the latter",
			short(longest), short(h.Interval))
	}
	for _, p := range h.AllowEndpointCIDRs {
		for _, secret := range []string{"169.254.169.254", "fd00:ec2::254"} {
			if p.Contains(netip.MustParseAddr(secret)) {
				warn("%s includes %s, where clouds hand out credentials: whoever may annotate a Service can make this service call it; name narrower networks",
					l.where("allow-endpoint-cidrs"), secret)
			}
		}
	}
}

// short formats a duration without its zero parts: 5m instead of 5m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
