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
	trustPort     trust = iota // a port that identifies the kind
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

// candidates are the kinds that svc may be, likeliest first; -1 for none. Each
// is tried if the one before it isn't it: a RabbitMQ cluster called loki
// selects name=loki, but has no port of Loki's, and one that proves RabbitMQ.
func (r *Rules) candidates(svc *corev1.Service, e *evidence) (c [4]candidate) {
	c[0].kind, c[1].kind = -1, -1
	c[2] = candidate{e.earlier(), trustName}
	selector, label, name := e.selector.head(), e.labels.head(), e.name.head()
	if selector < 0 {
		selector = e.operator
	}
	switch {
	case selector >= 0:
		// The value may name several, such as app=prometheus-grafana: then
		// the Service's own name tells which of them it means.
		if name >= 0 && name != selector && e.selector.together(name, selector) {
			c[0] = candidate{name, trustName}
		}
		c[1] = candidate{selector, trustSelector}
	case label >= 0 || name >= 0:
		c[0] = candidate{label, trustLabel}
		if name != label {
			c[1] = candidate{name, trustName}
		}
	default:
		if c[0] = (candidate{r.weak(svc, e), trustWeak}); c[0].kind < 0 {
			c[0].kind = r.chartKind(e.chart)
		}
	}
	c[3] = candidate{r.identified(svc), trustPort}
	return c
}

// chartKind is the kind that a Helm chart is of which the label says
// "NAME-VERSION", -1 if it is of none. It says little: charts make other things,
// too. But where an app's name is that of an instance, nothing else is left.
func (r *Rules) chartKind(chart string) int16 {
	var words [maxTokens]string
	var found [12]event
	s := stream{words: split(chart, words[:0])}
	s.events = r.vocabulary.read(s.words, found[:0])
	if len(s.events) != 1 || s.events[0].kind < 0 || s.events[0].first > 0 {
		return -1
	}
	for _, w := range s.words[s.events[0].last+1:] {
		if w[0] < '0' || w[0] > '9' {
			return -1
		}
	}
	return s.events[0].kind
}

// weak is the kind that a weak name means, -1 if there is none. Of several that
// share it, the port's number tells which: a query-frontend at 3200 is Tempo's.
func (r *Rules) weak(svc *corev1.Service, e *evidence) int16 {
	for _, s := range e.sources() {
		for i := len(s.events) - 1; i >= 0; i-- {
			w := s.events[i].weak
			for _, k := range w {
				if len(w) == 1 || r.choose(r.kinds[k], svc).fit == fitNumber && r.kinds[k].exceptPort(svc) == 0 {
					return k
				}
			}
		}
	}
	return -1
}

// accept decides on one candidate: it fills f in either way.
func (r *Rules) accept(svc *corev1.Service, e *evidence, c candidate, f *finding) bool {
	k := r.kinds[c.kind]
	ch := r.choose(k, svc)
	if m, where := r.excluded(k, e, c.trust, &ch); m != nil {
		f.reject("looks like %s, but %q in its %s says that it is something else", k.typ, m.text, where)
		return false
	}
	if p := k.exceptPort(svc); p != 0 {
		f.reject("looks like %s, but port %d says that it is something else", k.typ, p)
		return false
	}
	if ch.fit == fitNone {
		f.reject("looks like %s, but none of its ports is one at which %s answers queries", k.typ, k.typ)
		return false
	}
	if why := r.doubt(k, e, c.trust, &ch); why != "" {
		f.reject("looks like %s, but %s", k.typ, why)
		return false
	}
	f.kind, f.choice, f.rejected = k, ch, ""
	f.front = e.isFront(k)
	f.evidence = e.list(c, k, &ch)
	return true
}

// excluded returns the term that says that svc is something else than k, and
// where it stands. What one source says is held against another only as far as
// it is about the pods, or nobody knows better:
//
//   - Against a port that proves the kind only words count that the kind itself
//     excepts, behind its name.
//   - Selectors are always heard: they choose the pods.
//   - If they name the kind and nothing but it, and the port agrees, nobody
//     else is heard. The Service's name and labels often hold the name of an
//     instance, which says who owns it: an Elasticsearch called "apm".
//   - Labels are heard about which part of the kind it is, and about anything
//     if they name it.
//   - The name is heard if it names the kind, before what excludes it.
func (r *Rules) excluded(k *kind, e *evidence, t trust, ch *choice) (m *meaning, where string) {
	if t == trustPort {
		for where, s := range e.sources() {
			if m := s.excepted(k.id); m != nil {
				return m, where
			}
		}
		return nil, ""
	}
	weak, exact := t == trustWeak, ch.fit == fitNumber
	if m := e.selector.excluded(k.id, weak, exact && e.selector.clean(k.id, r)); m != nil {
		return m, "selector"
	}
	if t == trustSelector && ch.fit >= fitName && e.pure(k.id, r) {
		return nil, ""
	}
	named := e.labels.mention(k.id, weak) >= 0
	if m := e.labels.excluded(k.id, weak, exact); m != nil && (named || t <= trustName || e.labels.isComponent(m)) {
		return m, "labels"
	}
	if e.name.mention(k.id, weak) >= 0 {
		if m := e.name.excluded(k.id, weak, false); m != nil {
			return m, "name"
		}
	}
	return nil, ""
}

// pure reports whether the selector names k and nothing more.
func (e *evidence) pure(k int16, r *Rules) bool {
	return e.operator == k || e.selector.clean(k, r)
}

// isFront reports whether it is a proxy in front of k: as its pods' labels say,
// or if these say nothing of k, the Service's labels, and last its name.
func (e *evidence) isFront(k *kind) bool {
	if len(k.health.frontWords) == 0 {
		return false
	}
	for _, s := range e.sources() {
		if s.says(k.health.frontWords, k.id) {
			return true
		}
		if s.mention(k.id, false) >= 0 {
			return false
		}
	}
	return false
}

// doubt says why who and where together are not sure enough; "" if they are.
func (r *Rules) doubt(k *kind, e *evidence, t trust, ch *choice) string {
	switch {
	case t == trustPort:
		return ""
	case t <= trustName && ch.fit != fitNumber:
		return fmt.Sprintf("only its name says so, and port %d could be anything", ch.port.Port)
	case t == trustWeak:
		switch {
		case !isMetrics(ch.port.Name):
		case e.selector.known && e.selector.mention(k.id, true) < 0:
			return fmt.Sprintf("it selects something else, and its port is called %q", ch.port.Name)
		case !slices.Contains(k.portNames, ch.port.Name):
			return fmt.Sprintf("its name may mean other things, and its port is called %q", ch.port.Name)
		}
		return ""
	case t == trustName:
		if !e.selector.known || e.selector.mention(k.id, false) >= 0 || e.labels.mention(k.id, false) >= 0 {
			return ""
		}
		if isCommonNumber(ch.port.Port) {
			return fmt.Sprintf("it selects something else, and port %d could be anything", ch.port.Port)
		}
		if e.facetOf(k.id) {
			return fmt.Sprintf("its selector says that it is a part of something else, perhaps its %s metrics", k.typ)
		}
		if isMetrics(ch.port.Name) && !slices.Contains(k.portNames, ch.port.Name) {
			return fmt.Sprintf("it selects something else, and its port is called %q", ch.port.Name)
		}
		return ""
	case ch.fit == fitNumber, ch.fit == fitName && r.names(ch.port.Name, k.id):
		return ""
	case e.pure(k.id, r), t == trustLabel && e.labels.clean(k.id, r):
		if t == trustLabel && ch.fit < fitName {
			return fmt.Sprintf("only its labels say so, and port %d could be anything", ch.port.Port)
		}
		return ""
	}
	return fmt.Sprintf("its labels say something more, and port %d could be anything", ch.port.Port)
}

// names reports whether a port's name names k, and doesn't say that it is
// scraped.
func (r *Rules) names(portName string, k int16) bool {
	return !isMetrics(portName) && r.named(portName) == k
}

// named is the kind that comes last in a port's name, -1 if there is none.
func (r *Rules) named(portName string) int16 {
	var words [maxTokens]string
	var found [12]event
	s := stream{events: r.vocabulary.read(split(portName, words[:0]), found[:0])}
	return s.head()
}

// isMetrics reports whether a port's name says that it is scraped.
func isMetrics(name string) bool {
	switch name {
	case "metrics", "http-metrics", "https-metrics", "tcp-metrics", "prometheus", "prom", "http-prometheus", "tcp-prometheus", "http-prom",
		"telemetry", "monitoring", "http-monitoring":
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
	weak := c.trust == trustWeak
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
	if len(out) == 0 && weak {
		out = append(out, "chart "+e.chart)
	}
	return append(out, "port "+ch.describe())
}
