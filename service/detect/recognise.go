package detect

import (
	"fmt"
	"iter"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// A trust says which evidence names the kind, and so how certain the port must be.
type trust uint8

const (
	trustPort     trust = iota // a port that identifies the kind
	trustWeak                  // a word that may mean other things
	trustName                  // the name of the Service, which anyone can choose
	trustLabel                 // a label of the Service
	trustSelector              // the selector: the pods themselves
	trustImage                 // an image that the pods run
	trustDeclared              // the owner says so, for other projects
)

// A finding is the result of the rules, without annotations.
type finding struct {
	kind     *kind // nil if none
	choice   choice
	front    bool // a proxy in front of a back end of the kind
	evidence []string
	rejected string    // why the first of the candidates was rejected, and which that was
	why      string    // the same without which
	traces   weakTrace // if kind is nil
}

// recognise applies the rules to svc, of which seen is known.
func (r *Rules) recognise(svc *corev1.Service, seen pods) (f finding) {
	e := pool.Get().(*evidence)
	defer pool.Put(e)
	r.gather(svc, e)
	e.pods = seen
	for c := range r.inOrder(svc, e) {
		if r.accept(svc, e, c, &f) {
			return f
		}
	}
	f.traces = r.weakTraces(svc, e)
	return f
}

// inOrder yields the kinds to try: that which the owner declares, those whose images the pods run, then those that words
// and ports name.
func (r *Rules) inOrder(svc *corev1.Service, e *evidence) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		if k := r.declaredAs(svc); k >= 0 && !yield(candidate{k, trustDeclared}) {
			return
		}
		words := r.candidates(svc, e)
		for _, c := range e.pods.kinds(svc, words[:]) {
			if !yield(c) {
				return
			}
		}
		for _, c := range words {
			if c.kind >= 0 && !yield(c) {
				return
			}
		}
	}
}

// pool keeps evidence values, of some kilobytes each, for reuse.
var pool = sync.Pool{New: func() any { return new(evidence) }}

type candidate struct {
	kind  int16
	trust trust
}

// candidates returns the kinds that svc may be, the most likely first; -1 for none. Each is
// tried if the one before is rejected: a RabbitMQ cluster called loki has the selector
// name=loki, but no port of Loki, and one that proves RabbitMQ.
func (r *Rules) candidates(svc *corev1.Service, e *evidence) (c [4]candidate) {
	c[0].kind, c[1].kind = -1, -1
	c[2] = candidate{e.earlier(), trustName}
	selector, label, name := e.selector.head(), e.labels.head(), e.name.head()
	if selector < 0 {
		selector = e.operator
	}
	switch {
	case selector >= 0:
		// A value may name both, such as app=prometheus-grafana. Then the name of the
		// Service tells which is meant.
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

// chartKind returns the kind that a Helm chart is named after, given as NAME-VERSION; -1 if
// there is none. That is weak evidence, since charts also make other things, but the only
// one if an app is called like an instance.
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

// weak returns the kind that a weak name means; -1 if there is none. If several kinds share
// the name, the port number decides: a query-frontend with port 3200 is that of Tempo.
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

// accept decides whether svc is c, and fills f accordingly.
func (r *Rules) accept(svc *corev1.Service, e *evidence, c candidate, f *finding) bool {
	k := r.kinds[c.kind]
	ch := r.choose(k, svc)
	if c.trust == trustDeclared {
		if ch.fit == fitNone {
			f.reject(k, "it has no TCP port")
			return false
		}
		f.kind, f.choice, f.rejected, f.why, f.front = k, ch, "", "", false
		f.evidence = []string{k.declaration(svc), "port " + ch.describe()}
		return true
	}
	if why := e.pods.contradict(k, &ch, e.isFront(k)); why != "" {
		f.reject(k, "%s", why)
		return false
	}
	if m, where := r.excluded(k, e, c.trust, &ch); m != nil {
		f.reject(k, "%q in its %s says that it is something else", m.text, where)
		return false
	}
	if p := k.exceptPort(svc); p != 0 {
		f.reject(k, "port %d says that it is something else", p)
		return false
	}
	if ch.fit == fitNone {
		f.reject(k, "none of its ports is one at which %s answers queries", k.typ)
		return false
	}
	if why := r.doubt(k, e, c.trust, &ch); why != "" {
		f.reject(k, "%s", why)
		return false
	}
	f.kind, f.choice, f.rejected, f.why = k, ch, "", ""
	f.front = e.isFront(k)
	f.evidence = e.list(c, k, &ch)
	return true
}

// excluded returns the term that says that svc is not a back end of kind k, and where it
// is. A source is heard against another only as far as it is about the pods, or as the
// other is not certain:
//
//   - If a port proves the kind, only words count that the kind itself excepts, after its
//     name.
//   - The selector is always heard, since it chooses the pods.
//   - If the selector names the kind and nothing else, and the port agrees, nothing else is
//     heard. The name and labels of a Service often hold the name of an instance, which
//     says who owns it: an Elasticsearch called "apm".
//   - Labels are heard about which part of the kind it is, and about everything if they
//     name the kind.
//   - The name is heard if it names the kind, before the term that excludes it.
//   - If an image proves the kind, its own rules hold (pods.doubtful).
func (r *Rules) excluded(k *kind, e *evidence, t trust, ch *choice) (m *meaning, where string) {
	if t == trustImage {
		return nil, ""
	}
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

// pure reports whether the selector names k and nothing else.
func (e *evidence) pure(k int16, r *Rules) bool {
	return e.operator == k || e.selector.clean(k, r)
}

// isFront reports whether svc is a proxy in front of a back end of kind k. The first source
// that says so or names k decides.
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

// doubt returns why the evidence and the port together are not certain enough; empty if
// they are.
func (r *Rules) doubt(k *kind, e *evidence, t trust, ch *choice) string {
	switch {
	case t == trustPort:
		return ""
	case t == trustImage:
		return e.pods.doubtful(k, e, ch)
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

// names reports whether the name of a port names k, and does not say that metrics are
// scraped there.
func (r *Rules) names(portName string, k int16) bool {
	return !isMetrics(portName) && r.named(portName) == k
}

// named returns the kind that the name of a port names last; -1 if there is none.
func (r *Rules) named(portName string) int16 {
	var words [maxTokens]string
	var found [12]event
	s := stream{events: r.vocabulary.read(split(portName, words[:0]), found[:0])}
	return s.head()
}

// isMetrics reports whether the name of a port says that metrics are scraped there.
func isMetrics(name string) bool {
	switch name {
	case "metrics", "http-metrics", "https-metrics", "tcp-metrics", "prometheus", "prom", "http-prometheus", "tcp-prometheus", "http-prom",
		"telemetry", "monitoring", "http-monitoring":
		return true
	}
	return false
}

func (f *finding) reject(k *kind, format string, args ...any) {
	if f.rejected != "" {
		return
	}
	var buffer [160]byte
	text := append(append(append(buffer[:0], "looks like "...), k.typ...), ", but "...)
	at := len(text)
	f.rejected = string(fmt.Appendf(text, format, args...))
	f.why = f.rejected[at:]
}

// list returns for people what led to the recognition.
func (e *evidence) list(c candidate, k *kind, ch *choice) []string {
	weak := c.trust == trustWeak
	var out []string
	if s := e.pods.describe(k, ch.port); s != "" {
		out = append(out, s)
	}
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
