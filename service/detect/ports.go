package detect

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Fit says how surely one of a Service's ports is a kind's query port.
type fit uint8

const (
	fitNone   fit = iota
	fitCommon     // a port that any web application may have, such as 80
	fitName       // by name only
	fitNumber     // by number: of the container, or of the Service
)

// A choice is the port that was chosen.
type choice struct {
	fit    fit
	rule   port // whose fields are empty unless the port was found by number
	port   *corev1.ServicePort
	number int32 // the one to connect to
}

// choose finds k's query port among those of svc: the best fit; of equal fits
// the one that comes first in the rule, then the one that comes first in svc.
func (r *Rules) choose(k *kind, svc *corev1.Service) choice {
	var best choice
	bestRank := 0
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.Protocol == corev1.ProtocolUDP || p.Protocol == corev1.ProtocolSCTP || p.Port < 1 || p.Port > 65535 {
			continue
		}
		f, rank := r.fit(k, p)
		if f > best.fit || f == best.fit && f != fitNone && rank < bestRank {
			best = choice{fit: f, port: p, number: reachable(svc, p)}
			if bestRank = rank; rank < len(k.ports) {
				best.rule = k.ports[rank]
			}
		}
	}
	return best
}

// fit says how well p fits, and by which port of the rule: its place, or
// len(k.ports) if by none.
func (r *Rules) fit(k *kind, p *corev1.ServicePort) (fit, int) {
	target := targetNumber(p)
	remapped, remappedRank := fitNone, len(k.ports)
	for i := range k.ports {
		switch w := &k.ports[i]; {
		case len(w.named) > 0 && !slices.Contains(w.named, p.Name) && !slices.Contains(w.named, p.TargetPort.StrVal):
		case target == w.number, target == 0 && p.Port == w.number:
			return fitNumber, i
		case p.Port == w.number && remapped == fitNone:
			remapped, remappedRank = fitCommon, i // to a port that we don't know
		}
	}
	switch {
	case r.numbers[target]: // another kind's port, or another of this kind's pods
		return fitNone, 0
	case p.Name != "" && slices.Contains(k.portNames, p.Name), p.TargetPort.StrVal != "" && slices.Contains(k.portNames, p.TargetPort.StrVal):
		return fitName, remappedRank
	case remapped != fitNone:
		return remapped, remappedRank
	case k.commonPorts && isCommon(p):
		return fitCommon, len(k.ports)
	}
	return fitNone, 0
}

// identified returns the kind that a port of svc proves by its number alone.
func (r *Rules) identified(svc *corev1.Service) int16 {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		for _, n := range r.proofs {
			if p.Protocol != corev1.ProtocolUDP && p.Port == n.number && (targetNumber(p) == n.number || targetNumber(p) == 0) {
				return n.kind
			}
		}
	}
	return -1
}

// A proof is a port number that only one kind uses.
type proof struct {
	number int32
	kind   int16
}

// targetNumber is the port of the container; 0 if only its name is known.
func targetNumber(p *corev1.ServicePort) int32 {
	switch {
	case p.TargetPort.StrVal != "":
		return 0
	case p.TargetPort.IntVal != 0:
		return p.TargetPort.IntVal
	}
	return p.Port
}

// reachable is the number to connect to. The name of a headless Service means
// the pods themselves, where nothing maps the Service's port to the container's.
func reachable(svc *corev1.Service, p *corev1.ServicePort) int32 {
	if t := targetNumber(p); svc.Spec.ClusterIP == corev1.ClusterIPNone && svc.Spec.Type != corev1.ServiceTypeExternalName &&
		len(svc.Spec.Selector) > 0 && t > 0 && t <= 65535 {
		return t
	}
	return p.Port
}

// isCommon reports whether p is what many charts call their one web port.
func isCommon(p *corev1.ServicePort) bool {
	switch p.Port {
	case 80, 443, 8080, 8443:
	default:
		return false
	}
	for word := range strings.SplitSeq(p.Name, "-") {
		switch word {
		case "", "http", "https", "web", "ui", "service", "nginx", "proxy":
		default:
			return false
		}
	}
	return true
}

// isTLS reports whether something in svc says that p speaks TLS.
func isTLS(svc *corev1.Service, p *corev1.ServicePort) bool {
	if p == nil {
		return false
	}
	if p.AppProtocol != nil {
		switch a := strings.ToLower(*p.AppProtocol); a {
		case "https", "kubernetes.io/wss":
			return true
		case "http", "kubernetes.io/h2c", "kubernetes.io/ws", "tcp":
			return false
		}
	}
	for _, name := range [...]string{p.Name, p.TargetPort.StrVal} {
		for word := range strings.SplitSeq(name, "-") {
			switch word {
			case "https", "tls", "ssl":
				return true
			case "http":
				return false
			}
		}
	}
	switch t := targetNumber(p); {
	case p.Port == 443 || p.Port == 8443 || t == 443 || t == 8443:
		return true
	}
	// OpenShift makes a certificate for the Service; what has one, uses it.
	return svc.Annotations["service.beta.openshift.io/serving-cert-secret-name"] != "" ||
		svc.Annotations["service.alpha.openshift.io/serving-cert-secret-name"] != ""
}
