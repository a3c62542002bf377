package detect

import (
	"cmp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

const (
	maxCandidatePorts = 3
	maxHints          = 4
)

// A weakTrace is what makes a Service a candidate: ports at which it may be asked, and the
// kinds that it might be.
type weakTrace struct {
	ports []*corev1.ServicePort
	hints []int16
}

// weakTraces returns why svc, which no rule recognises, may still be a back end: an
// image of its pods that runs a kind among others, a port with the number of a kind's
// query port, a port named after a kind, or words that name a kind or a part of one,
// such as query-frontend. A kind that its words exclude is no hint: prometheus-operator
// is known to be something else. What a port says counts only as far as the words and the
// images don't explain the port better; see explained.
func (r *Rules) weakTraces(svc *corev1.Service, e *evidence) (t weakTrace) {
	if svc.Spec.Type == corev1.ServiceTypeExternalName || len(svc.Spec.Ports) == 0 {
		return t
	}
	add := func(k int16, p *corev1.ServicePort) {
		if k < 0 || !r.identities.Knows(r.kinds[k].typ) || r.kinds[k].exceptPort(svc) != 0 {
			return
		}
		if m, _ := r.excluded(r.kinds[k], e, trustWeak, &choice{fit: fitNumber, port: p}); m != nil {
			return
		}
		if !slices.Contains(t.hints, k) && len(t.hints) < maxHints {
			t.hints = append(t.hints, k)
		}
		if !slices.Contains(t.ports, p) && len(t.ports) < maxCandidatePorts {
			t.ports = append(t.ports, p)
		}
	}
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.Protocol == corev1.ProtocolUDP || p.Protocol == corev1.ProtocolSCTP || p.Port < 1 || p.Port > 65535 {
			continue
		}
		var seen sight
		if i < maxServicePorts {
			seen = e.pods.see(p)
		}
		for _, k := range seen.kinds {
			add(k, p)
		}
		for _, k := range r.kinds {
			if k.hasNumber(p) && !r.explained(e, &seen, k.id, p) {
				add(k.id, p)
			}
		}
		if k := r.named(p.Name); k >= 0 && !isMetrics(p.Name) && !r.explained(e, &seen, k, p) {
			add(k, p)
		}
	}
	// Words alone say nothing about the port.
	ch := mostHTTP(svc)
	if ch.port == nil || r.others[cmp.Or(targetNumber(ch.port), ch.port.Port)] {
		return t
	}
	for _, s := range e.sources() {
		for _, event := range s.events {
			add(event.kind, ch.port)
			for _, k := range event.weak {
				add(k, ch.port)
			}
		}
	}
	return t
}

// hasNumber reports whether k answers queries at the number of p, whatever p is called.
func (k *kind) hasNumber(p *corev1.ServicePort) bool {
	number := cmp.Or(targetNumber(p), p.Port)
	return slices.ContainsFunc(k.ports, func(w port) bool { return len(w.named) == 0 && (w.number == number || w.number == p.Port) })
}

// explained reports whether the port p is explained better than by kind k, which has such a
// port: nothing but the port speaks for k, and either
//
//   - the pods are known to run something else there,
//   - the words name another kind that has the same number: Loki and old charts of Tempo
//     have 3100, or
//   - the words name a part of another kind that answers no queries, or something around
//     it: its ports are its own.
func (r *Rules) explained(e *evidence, seen *sight, k int16, p *corev1.ServicePort) bool {
	if e.mentions(k, true) {
		return false
	}
	if len(seen.kinds) > 0 || seen.against && !seen.proxy {
		return !slices.Contains(seen.kinds, k)
	}
	for _, s := range e.sources() {
		for _, event := range s.events {
			if event.kind < 0 {
				continue
			}
			other := r.kinds[event.kind]
			if m, _ := r.excluded(other, e, trustLabel, &choice{fit: fitNumber, port: p}); m != nil || other.hasNumber(p) {
				return true
			}
		}
	}
	return false
}

// candidate returns svc as a candidate; nil if it is none.
func (r *Rules) candidate(svc *corev1.Service, o Options, d *declaration, t weakTrace) *service.Backend {
	if len(t.ports) == 0 || len(t.hints) == 0 {
		return nil
	}
	q := service.Question{}
	for _, k := range t.hints {
		q.Hints = append(q.Hints, r.kinds[k].typ)
	}
	host := hostOf(svc, o)
	numbers := map[string]*corev1.ServicePort{}
	for _, p := range t.ports {
		scheme := "http"
		if r.isTLS(svc, p) {
			scheme = "https"
		}
		if r.byType[q.Hints[0]].identity.Kafka {
			scheme = "tcp"
		}
		url := scheme + "://" + host + ":" + strconv.Itoa(int(reachable(svc, p)))
		q.URLs = append(q.URLs, url)
		numbers[endpoint.Address(url)] = p
	}
	c := &service.Candidate{Question: q}
	c.Adopt = func(id *service.Identity) *service.Backend {
		k, p := r.byType[id.Type], numbers[endpoint.Address(id.URL)]
		if id.Verdict != service.Verified || k == nil || p == nil {
			return nil
		}
		b := &builder{rules: r, svc: svc, kind: k, typ: k.typ, host: host, endpoint: id.URL, apiPath: k.apiPath, port: p}
		b.evidence = []string{"no label betrays it, but it answers as " + id.Product, "port " + strconv.Itoa(int(p.Port))}
		return b.backend(cmp.Or(d.name, svc.Name), d)
	}
	return &service.Backend{Key: service.Key{Namespace: cmp.Or(svc.Namespace, "default"), Name: svc.Name}, Candidate: c}
}
