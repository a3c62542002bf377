package detect

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// A stream is what one source of evidence says: the words of its values in sequence, and
// the known terms among them.
type stream struct {
	events []event
	words  []string
	values []value // in the order of their words
	// known means that a value says what the Service is, even if the vocabulary does not
	// know the word.
	known bool

	eventBuffer [12]event
	wordBuffer  [maxTokens]string
	valueBuffer [6]value
}

// A value is the value of one label.
type value struct {
	key, text string
	class     keyClass
	rank      int
	end       int // index after its last word
}

const maxValues = 6

// add inserts a value in the order of rank, then key, since the order of the map is random.
// If there are too many, the last ones are dropped.
func (s *stream) add(v value) {
	if len(s.values) < maxValues {
		s.values = append(s.values, v)
	} else if last := &s.values[maxValues-1]; v.before(last) {
		*last = v
	} else {
		return
	}
	for i := len(s.values) - 1; i > 0 && s.values[i].before(&s.values[i-1]); i-- {
		s.values[i-1], s.values[i] = s.values[i], s.values[i-1]
	}
}

func (v *value) before(o *value) bool {
	return v.rank < o.rank || v.rank == o.rank && v.key < o.key
}

func (s *stream) read(v *vocabulary) {
	s.words, s.events = s.wordBuffer[:0], s.eventBuffer[:0]
	for i := range s.values {
		s.words = split(s.values[i].text, s.words)
		s.values[i].end = len(s.words)
	}
	s.events = v.read(s.words, s.events)
}

// head returns the kind whose name comes last; -1 if there is none.
func (s *stream) head() int16 {
	for i := len(s.events) - 1; i >= 0; i-- {
		if k := s.events[i].kind; k >= 0 {
			return k
		}
	}
	return -1
}

// mention returns the index of the last event that names kind k; -1 if none does. With
// weak, weak names count as well.
func (s *stream) mention(k int16, weak bool) int {
	for i := len(s.events) - 1; i >= 0; i-- {
		if e := s.events[i]; e.kind == k || weak && has(e.weak, k) {
			return i
		}
	}
	return -1
}

// excluded returns the term that says that this is not a back end of kind k; nil if there
// is none.
//
// Only terms after the name of k count: prometheus-operator is an operator. In the value
// that names k, each counts. In other values, component keys qualify it ({app: loki,
// component: distributor}), and name keys do if k is not named. If the port is certainly
// one of k's (exact), terms that count only after a name are ignored in other values:
// {app: elasticsearch, role: database} is the database.
func (s *stream) excluded(k int16, weak, exact bool) *meaning {
	named := s.mention(k, weak)
	for i := len(s.events) - 1; i > named; i-- {
		e := s.events[i]
		switch {
		case !e.excludes(k):
		case named >= 0 && s.valueOf(e) == s.valueOf(s.events[named]):
			return e.meaning
		case s.valueOf(e).class == keyUnknown: // says who owns it or where it is
		case !exact || !e.local(k):
			return e.meaning
		}
	}
	return nil
}

// excepted returns the term, after the name of k, that k itself excepts; nil if there is
// none.
func (s *stream) excepted(k int16) *meaning {
	named := s.mention(k, false)
	for i := len(s.events) - 1; named >= 0 && i > named; i-- {
		if has(s.events[i].except, k) {
			return s.events[i].meaning
		}
	}
	return nil
}

// valueOf returns the value that contains e.
func (s *stream) valueOf(e event) *value {
	for i := range s.values {
		if e.last < s.values[i].end {
			return &s.values[i]
		}
	}
	return nil
}

// earlier returns the kind that is named before the last one, in the same value and by more
// than one word; -1 if there is none. otel-collector-prometheus is a Prometheus by its last
// word, but may be a collector for one. A single word is too often the name of an instance.
func (s *stream) earlier() int16 {
	last := s.mention(s.head(), false)
	for i := last - 1; i >= 0; i-- {
		e := s.events[i]
		if e.kind >= 0 && e.kind != s.events[last].kind && e.last > e.first && s.valueOf(e) == s.valueOf(s.events[last]) {
			return e.kind
		}
	}
	return -1
}

// clean reports whether only neutral words follow the name of k in its value:
// grafana-service is clean, grafana-sync is not.
func (s *stream) clean(k int16, r *Rules) bool {
	i := s.mention(k, false)
	if i < 0 {
		return false
	}
	for _, w := range s.words[s.events[i].last+1 : s.valueOf(s.events[i]).end] {
		if !r.neutral[w] && !r.parts[w] {
			return false
		}
	}
	return true
}

// says reports whether one of words comes after the name of k, or anywhere if k is not
// named: loki-gateway is the gateway, gateway-loki is a Loki.
func (s *stream) says(words []string, k int16) bool {
	first := 0
	if i := s.mention(k, false); i >= 0 {
		first = s.events[i].last + 1
	}
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(s.words[first:], w) })
}

// together reports whether one value names both a and b.
func (s *stream) together(a, b int16) bool {
	i, j := s.mention(a, false), s.mention(b, false)
	return i >= 0 && j >= 0 && s.valueOf(s.events[i]) == s.valueOf(s.events[j])
}

// isComponent reports whether m is in the value of a component key.
func (s *stream) isComponent(m *meaning) bool {
	for _, e := range s.events {
		if e.meaning == m && s.valueOf(e).class == keyComponent {
			return true
		}
	}
	return false
}

// source returns the last value that names k.
func (s *stream) source(k int16, weak bool) value {
	if i := s.mention(k, weak); i >= 0 {
		return *s.valueOf(s.events[i])
	}
	return value{}
}

// evidence is all that says what a Service is.
type evidence struct {
	selector, labels, name stream
	operator               int16  // the kind with an operator's key in the selector; -1 if there is none
	operatorKey            string // that key
	chart                  string // the Helm chart that made the Service; empty if unknown
	pods                   pods   // what is known of them; empty if nothing
}

// sources yields the streams, the most trusted one first.
func (e *evidence) sources() iter.Seq2[string, *stream] {
	return func(yield func(string, *stream) bool) {
		_ = yield("selector", &e.selector) && yield("labels", &e.labels) && yield("name", &e.name)
	}
}

// earlier returns that of the first source that names a kind.
func (e *evidence) earlier() int16 {
	for _, s := range e.sources() {
		if s.head() >= 0 {
			return s.earlier()
		}
	}
	return -1
}

// gather reads svc into e, which may have been used for another Service.
func (r *Rules) gather(svc *corev1.Service, e *evidence) {
	e.operator, e.operatorKey, e.selector.known = -1, "", false
	e.chart = cmp.Or(svc.Spec.Selector["chart"], svc.Labels["helm.sh/chart"], svc.Labels["chart"])
	e.selector.values = e.selector.valueBuffer[:0]
	for k, v := range svc.Spec.Selector {
		if id, ok := r.selectorKeys[k]; ok {
			if e.operator < 0 || id < e.operator || id == e.operator && k < e.operatorKey {
				e.operator, e.operatorKey = id, k
			}
			continue // the value is just the name of an instance
		}
		c := r.class(k)
		if c.class == keyIgnored {
			continue
		}
		if c.class == keyUnknown {
			c.rank = -1 // {tier: kafka} counts, but least
		}
		e.selector.known = e.selector.known || c.class != keyComponent || !r.onlyPart(v)
		e.selector.add(value{key: k, text: v, class: c.class, rank: c.rank})
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		// The Service is what the external name is called.
		first, _, _ := strings.Cut(svc.Spec.ExternalName, ".")
		e.selector.add(value{key: "externalName", text: first, rank: -1})
	}
	e.labels.values = e.labels.valueBuffer[:0]
	for k, v := range svc.Labels {
		if c := r.class(k); c.class == keyName || c.class == keyComponent {
			e.labels.add(value{key: k, text: v, class: c.class, rank: c.rank})
		}
	}
	e.name.values = append(e.name.valueBuffer[:0], value{text: svc.Name, class: keyName})
	e.selector.read(&r.vocabulary)
	e.labels.read(&r.vocabulary)
	e.name.read(&r.vocabulary)
}

// class says what the key of a label means: the whole key if it is known, else its last
// part. An unknown key with a prefix or with dots is internal to some program and ignored.
// So is x.example.com/name, the name of an instance, which may be anything.
func (r *Rules) class(k string) key {
	if c, ok := r.keys[k]; ok {
		return c
	}
	if i := strings.LastIndexByte(k, '/'); i >= 0 {
		if c := r.keys[k[i+1:]]; c.class != keyUnknown && k[i+1:] != "name" {
			return c
		}
		return key{class: keyIgnored}
	}
	if strings.IndexByte(k, '.') >= 0 {
		return key{class: keyIgnored}
	}
	return key{}
}

// onlyPart reports whether the value of a component key says which part something is, but
// not of what, such as "query-frontend".
func (r *Rules) onlyPart(component string) bool {
	var buffer [maxTokens]string
	for _, w := range split(component, buffer[:0]) {
		if !r.parts[w] && !r.neutral[w] {
			return false
		}
	}
	return true
}

// facetOf reports whether the name of svc is what it selects, followed by the name of k:
// shop-prometheus with the selector app=shop is metrics of the shop, not a Prometheus.
func (e *evidence) facetOf(k int16) bool {
	i := e.name.mention(k, false)
	if i < 0 {
		return false
	}
	before := e.name.events[i].first
	if before == 0 {
		return false
	}
	for _, w := range e.name.words[:before] {
		if !slices.Contains(e.selector.words, w) {
			return false
		}
	}
	return true
}
