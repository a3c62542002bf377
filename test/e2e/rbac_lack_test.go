package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/cluster/leader"
)

// sentence returns the words in which the missing right is reported everywhere.
func (l lack) sentence() string {
	what, where := l.missing.resource, "in the whole cluster"
	if l.missing.name != "" {
		what = fmt.Sprintf("%s %q", l.missing.resource, l.missing.name)
	}
	if l.missing.namespace != "" {
		where = "in namespace " + l.missing.namespace
	}
	return fmt.Sprintf("the service account system:serviceaccount:%s:%s may not %s %s %s: grant it the verb %q on the resource %q by ",
		l.in.ns, l.in.account, l.missing.verb, what, where, l.missing.verb, l.missing.resource)
}

// remedy returns the file that grants the right.
func (l lack) remedy() string {
	switch {
	case l.missing.resource != "services":
		return "deploy/components/configmap-writer/rbac.yaml"
	case l.missing.namespace != "":
		return "deploy/overlays/namespaced"
	}
	return "deploy/base/rbac.yaml"
}

// is reports whether this right is missing.
func (l lack) is(verb, resource string) bool {
	return l.missing.verb == verb && l.missing.resource == resource
}

// isLogged checks that the log says which right is missing.
func (l lack) isLogged() {
	in := l.in
	in.t.Helper()
	level := "error "
	if l.is("create", "events") {
		level = "warn " // nothing depends on Events
	}
	complaint := func() []string { return in.logged(level, l.sentence(), l.remedy()) }
	in.within(20*time.Second, level+"in the log that holds: "+l.sentence(), func() bool { return len(complaint()) > 0 })
	// It is refused more often than it is logged.
	in.within(soonGranted, "the API server's refusals in the audit log", func() bool { return in.forbidden(l.missing) > 1 })
	if l.is("watch", "services") {
		l.in.backend("listed", 3000)
	}
}

// isTold checks what else the service reports and does while the right is missing.
func (l lack) isTold() {
	in := l.in
	in.t.Helper()
	series := fmt.Sprintf("toolset_kubernetes_forbidden_total{verb=%q,resource=%q}", l.missing.verb, l.missing.resource)
	in.within(5*time.Second, series, func() bool { return in.metric(series) > 0 })

	told := func(detail string) {
		in.t.Helper()
		if !strings.Contains(detail, l.sentence()) || !strings.Contains(detail, l.remedy()) {
			in.t.Errorf("the detail is %q, which does not name the right: %s... (%s)", detail, l.sentence(), l.remedy())
		}
		if strings.Contains(detail, "127.0.0.1") {
			in.t.Errorf("clients are told of an address: %q", detail)
		}
	}
	if l.is("list", "services") {
		// Nothing can be looked up, so the pod gets no traffic, and readiness says why.
		told(in.problem(http.MethodGet, "/health/ready", http.StatusServiceUnavailable))
		told(in.problem(http.MethodPost, "/api/v1/discover?wait=20s", http.StatusServiceUnavailable))
		return
	}
	in.within(20*time.Second, "readiness: lookups can be answered", in.ready)
	in.within(soonGranted, "the back end", func() bool { return in.shows("grafana") })
	switch {
	case l.is("watch", "services"):
		// It lists now and then instead.
		in.within(soonGranted, "a Service that only a list can show", func() bool { return in.shows("listed") })
	case l.is("patch", "configmaps"), l.is("create", "configmaps"):
		told(in.problem(http.MethodPost, "/api/v1/toolsets/generate", http.StatusServiceUnavailable))
		if n := in.metric(`toolset_configmap_writes_total{result="forbidden"}`); n == 0 {
			in.t.Error("the metric of writes shows none that was forbidden")
		}
	case l.missing.resource == "leases" && l.missing.verb != "watch":
		told(in.problem(http.MethodPost, "/api/v1/toolsets/generate", http.StatusServiceUnavailable))
		if n := in.metric("toolset_leader"); n != 0 {
			in.t.Error("it leads without the lease")
		}
	case l.missing.resource != "services":
		// It still writes, without following the ConfigMap or sending Events.
		in.within(soonGranted, "the ConfigMap", func() bool { return in.wrote("grafana") })
		if status, body := in.ask(http.MethodPost, "/api/v1/toolsets/generate"); status != http.StatusOK {
			in.t.Errorf("generate answers %d %s", status, body)
		}
	}
}

// isOver checks that the service itself notices that the right is granted: nothing else
// has changed that it could see.
func (l lack) isOver() {
	in := l.in
	in.t.Helper()
	over := map[string]string{
		"services": "Watching Services works again", "configmaps": "The ConfigMap can be followed again",
		"leases": "The lease can be used again", "events": "Events can be sent again",
	}[l.missing.resource]
	switch {
	case l.is("patch", "configmaps"), l.is("create", "configmaps"):
		over = "The ConfigMap can be written again"
	case l.is("watch", "leases"), l.is("list", "leases"):
		over = "The lease can be followed again"
	}
	in.within(soonGranted, "a line in the log: "+over, func() bool { return len(in.logged("info ", over)) > 0 })
}

// isWhole checks that the service does everything again, and has not filled the log.
func (l lack) isWhole() {
	in := l.in
	in.t.Helper()
	in.within(soonGranted, "readiness", in.ready)
	in.backend("late", 3000)
	in.within(soonGranted, "a Service that was made after the right was granted", func() bool { return in.shows("late") })
	if l.missing.resource != "services" {
		in.within(soonGranted, "the ConfigMap is up to date", func() bool { return in.wrote("late") })
	}
	// However often it was refused, it has logged that once, or once a minute.
	refused := in.forbidden(l.missing)
	if n := len(in.logged(l.sentence())) - len(in.logged(l.sentence(), "on request failed")); n < 1 || n > 1+int(time.Since(in.since)/time.Minute) || refused < 2 {
		in.t.Errorf("refused %d times, told %d times:\n%s", refused, n, strings.Join(in.logged(l.sentence()), "\n"))
	}
	for _, e := range in.events() {
		for _, r := range e.used() {
			if e.Status.Code == http.StatusForbidden && r != l.missing && !byCreating(l.missing, r) {
				in.t.Errorf("refused for another reason: %s: %s", r, e.reason())
			}
		}
	}
}

// byCreating reports whether r is the right of a request that would have created an
// object that must not be created.
func byCreating(missing, r right) bool {
	verb := map[string]string{"configmaps": "patch", "leases": "update"}[missing.resource]
	return missing.verb == "create" && r.verb == verb && r.resource == missing.resource && r.name == missing.name
}

// isRevoked checks what a service reports and does after it has lost all its rights: the
// same as in an outage of the API, but with the cause.
func isRevoked(in *installation) {
	in.t.Helper()
	lists := lack{in, right{"list", "", "services", "", ""}}
	// The open watch goes on until its end, here by the resync.
	in.within(soonGranted, "the refusal is seen and makes the service unready", func() bool { return !in.ready() })
	if detail := in.problem(http.MethodGet, "/health/ready", http.StatusServiceUnavailable); !strings.Contains(detail, lists.sentence()) {
		in.t.Errorf("readiness fails with %q, which does not say: %s", detail, lists.sentence())
	}
	if n := len(in.logged("error ", lists.sentence())); n != 1 {
		in.t.Errorf("the log says %d times: %s", n, lists.sentence())
	}
	if !in.shows("grafana") {
		in.t.Error("what was known is not served any more")
	}
	if warning := in.warning(); !strings.Contains(warning, "Stale") || !strings.Contains(warning, "could not be read since") {
		in.t.Errorf("a lookup has the warning %q", warning)
	}
	// It may or may not have lost the lease by now.
	patch := lack{in, configMapRight("patch", in.ns)}
	in.within(leader.LeaseDuration+soonGranted, "generate names the right, that on the ConfigMap or on the lease", func() bool {
		status, body := in.ask(http.MethodPost, "/api/v1/toolsets/generate")
		named := strings.ReplaceAll(body, `\"`, `"`)
		return status == http.StatusServiceUnavailable && (strings.Contains(named, patch.sentence()) || strings.Contains(named, `on the resource "leases"`))
	})
	in.backend("late", 3000)
}

// isGrantedAnew checks that the service recovers when it gets the rights back.
func isGrantedAnew(in *installation) {
	in.t.Helper()
	in.within(soonGranted, "readiness", in.ready)
	in.within(soonGranted, "what it missed", func() bool { return in.shows("late") })
	if warning := in.warning(); warning != "" {
		in.t.Errorf("a lookup has the warning %q", warning)
	}
	in.within(soonGranted, "the ConfigMap", func() bool { return in.wrote("late") })
	if status, body := in.ask(http.MethodPost, "/api/v1/toolsets/generate"); status != http.StatusOK {
		in.t.Errorf("generate answers %d %s", status, body)
	}
}
