package detect

import (
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// trust says what says who a Service is, and so how sure its port must be.
type trust uint8

const (
	trustPort     trust = iota // only a port that identifies the kind
	trustWeak                  // a word that could mean other things, too
	trustName                  // the Service's name, which anyone may give
	trustLabel                 // a label of the Service
	trustSelector              // what it selects: the pods themselves
)

// A finding is the outcome of the rules, without annotations.
type finding struct {
	kind     *kind // nil if none
	choice   choice
	front    bool // it is a proxy in front of the kind
	evidence []string
	rejected string
}

// recognise applies the rules to svc.
func (r *Rules) recognise(svc *corev1.Service) (f finding) {
	e := pool.Get().(*evidence)
	defer pool.Put(e)
	r.gather(svc, e)
	for _, c := range r.candidates(svc, e) {
		if c.kind >= 0 && r.accept(svc, e, c, &f) {
			break
		}
	}
	return f
}

// pool keeps evidence, which is some kilobytes, for the next Service.
var pool = sync.Pool{New: func() any { return new(evidence) }}

type candidate struct {
	kind  int16
	trust trust
}

// candidates are the kinds that svc may be, likeliest first; -1 for none.
func (r *Rules) candidates(svc *corev1.Service, e *evidence) (c [3]candidate) {
	c[0].kind, c[1].kind, c[2].kind = -1, -1, -1
	selector, label, name := e.selector.head(), e.labels.head(), e.name.head()
	if selector < 0 {
		selector = e.operator
	}
	switch {
	case selector >= 0:
		// The selector may name several, such as app=prometheus-grafana: then
		// the Service's own name tells which of them it means.
		if name >= 0 && name != selector && e.selector.mention(name, false) >= 0 {
			c[0] = candidate{name, trustName}
		}
		c[1] = candidate{selector, trustSelector}
	case label >= 0 || name >= 0:
		c[0] = candidate{label, trustLabel}
		if name != label {
			c[1] = candidate{name, trustName}
		}
	default:
		if w := e.weak(); w >= 0 {
			c[0] = candidate{w, trustWeak}
		}
		c[1] = candidate{r.identified(svc), trustPort}
	}
	return c
}

// weak is the kind that a weak name means, -1 if there is none.
func (e *evidence) weak() int16 {
	for _, s := range [...]*stream{&e.selector, &e.labels, &e.name} {
		for i := len(s.events) - 1; i >= 0; i-- {
			if w := s.events[i].weak; len(w) > 0 {
				return w[0]
			}
		}
	}
	return -1
}

// accept decides on one candidate: it fills f in either way.
func (r *Rules) accept(svc *corev1.Service, e *evidence, c candidate, f *finding) bool {
	k := r.kinds[c.kind]
	weak := c.trust <= trustWeak
	for _, s := range [...]struct {
		what string
		*stream
	}{{"selector", &e.selector}, {"labels", &e.labels}, {"name", &e.name}} {
		if m := s.excluded(k.id, weak); m != nil {
			f.reject("looks like %s, but %q in its %s says that it is something else", k.typ, m.text, s.what)
			return false
		}
	}
	ch := r.choose(k, svc)
	if ch.fit == fitNone {
		f.reject("looks like %s, but none of its ports is one at which %s answers queries", k.typ, k.typ)
		return false
	}
	if why := r.doubt(k, e, c.trust, &ch); why != "" {
		f.reject("looks like %s, but %s", k.typ, why)
		return false
	}
	f.kind, f.choice, f.rejected = k, ch, ""
	f.front = e.selector.says(k.health.frontWords) || e.labels.says(k.health.frontWords) || e.name.says(k.health.frontWords)
	f.evidence = e.list(c, k, &ch)
	return true
}

// doubt says why who and where together are not sure enough; "" if they are.
func (r *Rules) doubt(k *kind, e *evidence, t trust, ch *choice) string {
	switch {
	case ch.fit == fitNumber && t != trustName:
		return ""
	case t <= trustName && ch.fit != fitNumber:
		return fmt.Sprintf("only its name says so, and port %d could be anything", ch.port.Port)
	case t == trustName:
		if !e.selector.known || e.selector.mention(k.id, false) >= 0 || e.labels.mention(k.id, false) >= 0 {
			return ""
		}
		if e.facetOf(k.id) {
			return fmt.Sprintf("its selector says that it is a part of something else, perhaps its %s metrics", k.typ)
		}
		if isMetrics(ch.port.Name) && !slices.Contains(k.portNames, ch.port.Name) {
			return fmt.Sprintf("it selects something else, and its port is called %q", ch.port.Name)
		}
		return ""
	case e.operator == k.id, e.selector.clean(k.id, r.neutral), t == trustLabel && e.labels.clean(k.id, r.neutral):
		if t == trustLabel && ch.fit == fitCommon {
			return fmt.Sprintf("only its labels say so, and port %d could be anything", ch.port.Port)
		}
		return ""
	}
	return fmt.Sprintf("its labels say something more, and port %d could be anything", ch.port.Port)
}

// isMetrics reports whether a port's name says that it is scraped.
func isMetrics(name string) bool {
	switch name {
	case "metrics", "http-metrics", "prometheus", "prom", "http-prometheus", "http-prom", "telemetry", "monitoring", "http-monitoring":
		return true
	}
	return false
}

func (f *finding) reject(format string, args ...any) {
	if f.rejected == "" {
		f.rejected = fmt.Sprintf(format, args...)
	}
}

// list says for people what led to the recognition.
func (e *evidence) list(c candidate, k *kind, ch *choice) []string {
	weak := c.trust <= trustWeak
	var out []string
	if v := e.selector.source(k.id, weak); v.key != "" {
		out = append(out, "selector "+v.key+"="+v.text)
	}
	if e.operator == k.id {
		out = append(out, "selector has "+e.operatorKey)
	}
	if v := e.labels.source(k.id, weak); v.key != "" {
		out = append(out, "label "+v.key+"="+v.text)
	}
	if e.name.mention(k.id, weak) >= 0 {
		out = append(out, "name "+e.name.values[0].text)
	}
	return append(out, "port "+ch.describe())
}
