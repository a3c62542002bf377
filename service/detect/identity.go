package detect

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// A stream is what one source of evidence says: the words of its values, one
// after the other, and the known terms among them.
type stream struct {
	events []event
	words  []string
	values []value // in the order of their words
	// known is true if it holds any value that says what something is, whether
	// or not the vocabulary knows it.
	known bool

	eventBuffer [12]event
	wordBuffer  [maxTokens]string
	valueBuffer [6]value
}

// A value is the value of one label.
type value struct {
	key, text string
	rank      int
	end       int // its last word's place, plus one
}

const maxValues = 6

// add keeps the values in the order of rank, then key, since that of the map
// they come from is random. Of too many it keeps the first in this order.
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

// head is the kind whose name comes last, -1 if there is none.
func (s *stream) head() int16 {
	for i := len(s.events) - 1; i >= 0; i-- {
		if k := s.events[i].kind; k >= 0 {
			return k
		}
	}
	return -1
}

// mention finds where kind k is named last; weak names count if weak is true.
func (s *stream) mention(k int16, weak bool) int {
	for i := len(s.events) - 1; i >= 0; i-- {
		if e := s.events[i]; e.kind == k || weak && has(e.weak, k) {
			return i
		}
	}
	return -1
}

// excluded returns the term after the name of k, if any, that says that this
// is something else. The last word decides: prometheus-operator is an operator.
func (s *stream) excluded(k int16, weak bool) *meaning {
	for i := len(s.events) - 1; i > s.mention(k, weak); i-- {
		if e := s.events[i]; e.excludes(k) {
			return e.meaning
		}
	}
	return nil
}

// clean reports whether nothing unknown follows the name of k, so that
// "grafana-service" is clean but "grafana-sync" is not.
func (s *stream) clean(k int16, neutral map[string]bool) bool {
	i := s.mention(k, false)
	if i < 0 {
		return false
	}
	end := len(s.words)
	for _, v := range s.values { // other values stand for themselves
		if s.events[i].last < v.end {
			end = v.end
			break
		}
	}
	for _, w := range s.words[s.events[i].last+1 : end] {
		if !neutral[w] {
			return false
		}
	}
	return true
}

// says reports whether one of words is among the stream's.
func (s *stream) says(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(s.words, w) })
}

// source returns the value that names k last.
func (s *stream) source(k int16, weak bool) value {
	if i := s.mention(k, weak); i >= 0 {
		for _, v := range s.values {
			if s.events[i].last < v.end {
				return v
			}
		}
	}
	return value{}
}

// Evidence is everything that says who a Service is.
type evidence struct {
	selector, labels, name stream
	operator               int16  // the kind whose operator's key is in the selector; -1
	operatorKey            string // that key
}

// gather reads svc into e, which may hold another Service's evidence.
func (r *Rules) gather(svc *corev1.Service, e *evidence) {
	e.operator, e.operatorKey, e.selector.known = -1, "", false
	e.selector.values = e.selector.valueBuffer[:0]
	for k, v := range svc.Spec.Selector {
		if id, ok := r.selectorKeys[k]; ok {
			if e.operator < 0 || id < e.operator || id == e.operator && k < e.operatorKey {
				e.operator, e.operatorKey = id, k
			}
			continue // the value is only the name of an instance
		}
		c := r.class(k)
		if c.class == keyIgnored {
			continue
		}
		if c.class == keyUnknown {
			c.rank = -1 // {tier: kafka} says something, too, but the least
		}
		e.selector.known = true
		e.selector.add(value{key: k, text: v, rank: c.rank})
	}
	e.labels.values = e.labels.valueBuffer[:0]
	for k, v := range svc.Labels {
		if c := r.class(k); c.class == keyName || c.class == keyComponent {
			e.labels.add(value{key: k, text: v, rank: c.rank})
		}
	}
	e.name.values = append(e.name.valueBuffer[:0], value{text: svc.Name})
	e.selector.read(&r.vocabulary)
	e.labels.read(&r.vocabulary)
	e.name.read(&r.vocabulary)
}

// class says what a label's key means: by the whole key, else by its last part.
func (r *Rules) class(k string) key {
	if c, ok := r.keys[k]; ok {
		return c
	}
	if i := strings.LastIndexByte(k, '/'); i >= 0 {
		return r.keys[k[i+1:]]
	}
	return key{}
}

// facetOf reports whether svc is named after what it selects, plus the name of
// k: shop-prometheus for app=shop is the shop's metrics, not a Prometheus.
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
