package config

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/internal/suggest"
)

// holmesGPTBuiltins are the built-in toolsets that the document for HolmesGPT can have. A
// test of internal/app compares them with those of its package.
var holmesGPTBuiltins = []string{
	"prometheus/metrics", "grafana/dashboards", "grafana/loki", "grafana/tempo", "elasticsearch/data", "elasticsearch/cluster",
	"victorialogs", "rabbitmq/core", "kafka/admin",
}

// HolmesGPTBuiltins returns the names that --holmesgpt-leave-out takes.
func HolmesGPTBuiltins() []string { return slices.Clone(holmesGPTBuiltins) }

func (l *loader) validateHolmesGPT() {
	h := &l.settings.HolmesGPT
	for _, name := range l.flags.leaveOut {
		switch name = strings.TrimSpace(name); {
		case !slices.Contains(holmesGPTBuiltins, name) && suggest.Of(name, holmesGPTBuiltins) != "":
			l.fail("holmesgpt-leave-out", "holds %s, which the document never has; did you mean %s?", quote(name), suggest.Of(name, holmesGPTBuiltins))
		case !slices.Contains(holmesGPTBuiltins, name):
			l.fail("holmesgpt-leave-out", "holds %s, which the document never has; choose from %s", quote(name), strings.Join(holmesGPTBuiltins, ", "))
		case !slices.Contains(h.LeaveOut, name):
			h.LeaveOut = append(h.LeaveOut, name)
		}
	}
	if h.ReloadURL != "" {
		u, err := url.Parse(h.ReloadURL)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			l.fail("holmesgpt-reload-url", "is no absolute http or https URL, such as http://holmes.holmes.svc/api/admin/reload/toolsets")
		case u.User != nil:
			l.fail("holmesgpt-reload-url", "must not carry a user name or password, which would be logged")
		}
	}
	l.duration("holmesgpt-reload-delay", h.ReloadDelay, 0, time.Hour)
}
