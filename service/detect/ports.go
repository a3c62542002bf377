package detect

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Fit says how surely one of a Service's ports is a kind's query port.
type fit uint8

const (
	fitNone   fit = iota
	fitSole       // the only TCP port, and nothing speaks against it
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
	bestRank, tcp := 0, 0
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.Protocol == corev1.ProtocolUDP || p.Protocol == corev1.ProtocolSCTP || p.Port < 1 || p.Port > 65535 {
			continue
		}
		tcp++
		f, rank := r.fit(k, p)
		if isLegacy(p) && best.fit != fitNone {
			continue // the same under a name that will go
		}
		if f > best.fit || f != fitNone && isLegacy(best.port) || f == best.fit && f != fitNone && rank < bestRank {
			best = choice{fit: f, port: p}
			if bestRank = rank; rank < len(k.ports) {
				best.rule = k.ports[rank]
			}
		}
	}
	if best.fit == fitSole && tcp > 1 {
		return choice{}
	}
	if best.port != nil {
		best.number = k.reachable(svc, best.port, bestRank)
	}
	return best
}

// isLegacy reports whether p's name says that it is kept for old clients only:
// "legacy-http-metrics".
func isLegacy(p *corev1.ServicePort) bool {
	return p != nil && (strings.HasPrefix(p.Name, "legacy-") || strings.HasPrefix(p.Name, "deprecated-"))
}

// fit says how well p fits, and by which port of the rule: its place, or
// len(k.ports) if by none.
func (r *Rules) fit(k *kind, p *corev1.ServicePort) (fit, int) {
	target := targetNumber(p)
	remapped, remappedRank, otherNamed, own := fitNone, len(k.ports), false, len(k.ports)
	for i := range k.ports {
		switch w := &k.ports[i]; {
		case len(w.named) > 0 && !slices.Contains(w.named, p.Name) && !slices.Contains(w.named, p.TargetPort.StrVal):
			otherNamed = otherNamed || target == w.number || p.Port == w.number
			if own == len(k.ports) && w.scheme == "" && (target == w.number || target == 0 && p.Port == w.number) && isNoName(p) {
				own = i
			}
		case target == w.number, target == 0 && p.Port == w.number:
			return fitNumber, i
		case p.Port == w.number && remapped == fitNone:
			remapped, remappedRank = fitCommon, i // to a port that we don't know
		}
	}
	switch {
	case own < len(k.ports): // its name says nothing else
		return fitSole, own
	case r.numbers[target], r.others[target]: // another kind's port, or another of this kind's pods
		return fitNone, 0
	case k.portName(p) >= 0:
		if remappedRank == len(k.ports) {
			remappedRank += k.portName(p)
		}
		return fitName, remappedRank
	case remapped != fitNone:
		return remapped, remappedRank
	case !k.commonPorts:
	case isCommon(p), isProxied(p):
		return fitCommon, len(k.ports)
	// Of a port that is reached by name, the Service's number may be anything,
	// but hardly another kind's.
	case !otherNamed && !r.numbers[p.Port] && !r.others[p.Port] && isWeb(p.Name) && (target > 0 || isWeb(p.TargetPort.StrVal)):
		return fitSole, len(k.ports)
	}
	return fitNone, 0
}

// isNoName reports whether p has no name, or one that only repeats its number or
// protocol: "9094-tcp".
func isNoName(p *corev1.ServicePort) bool {
	name := strings.Trim(strings.ReplaceAll(p.Name, "tcp", ""), "-")
	return name == "" || name == strconv.Itoa(int(p.Port))
}

// portName is the place of p's name among k's, or that of the container's name
// for it; -1 if k knows neither.
func (k *kind) portName(p *corev1.ServicePort) int {
	if i := slices.Index(k.portNames, p.Name); i >= 0 {
		return i
	}
	return slices.Index(k.portNames, p.TargetPort.StrVal)
}

// exceptPort is a port of svc that says that it isn't k, 0 if there is none.
func (k *kind) exceptPort(svc *corev1.Service) int32 {
	for i := range svc.Spec.Ports {
		if p := svc.Spec.Ports[i].Port; slices.Contains(k.exceptPorts, p) {
			return p
		}
	}
	return 0
}

// identified returns the kind that a port of svc proves: by its number alone, or
// by number and name.
func (r *Rules) identified(svc *corev1.Service) int16 {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		for j := range r.proofs {
			n := &r.proofs[j]
			if p.Port != n.number || p.Protocol == corev1.ProtocolUDP || targetNumber(p) != n.number && targetNumber(p) != 0 {
				continue
			}
			if len(n.named) == 0 || slices.Contains(n.named, p.Name) {
				return n.kind
			}
		}
	}
	return -1
}

// A proof is a port number that only one kind uses, or uses by this name.
type proof struct {
	number int32
	kind   int16
	named  []string
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
	if t := targetNumber(p); reachesPods(svc) && t > 0 && t <= 65535 {
		return t
	}
	return p.Port
}

// reachable is likewise. If the pods' number is known by name only, and the
// Service's is one that pods don't listen at (80 and 443 take privileges that
// these images don't have), it is the kind's own: that of the rule's port at
// rank, or the first.
func (k *kind) reachable(svc *corev1.Service, p *corev1.ServicePort, rank int) int32 {
	if reachesPods(svc) && targetNumber(p) == 0 && (p.Port == 80 || p.Port == 443) {
		if rank < len(k.ports) {
			return k.ports[rank].number
		}
		return k.ports[0].number
	}
	return reachable(svc, p)
}

// reachesPods reports whether a client of svc connects to its pods' own ports. A
// headless Service without a selector has the ports that its owner gave it.
func reachesPods(svc *corev1.Service) bool { return isHeadless(svc) && len(svc.Spec.Selector) > 0 }

// isCommon reports whether p is what many charts call their one web port.
func isCommon(p *corev1.ServicePort) bool { return isCommonNumber(p.Port) && isWeb(p.Name) }

// isCommonNumber reports whether any web application may listen at port n.
func isCommonNumber(n int32) bool { return n == 80 || n == 443 || n == 8080 || n == 8443 }

// isWeb reports whether a port's name says that it speaks HTTP, perhaps behind
// a proxy, and nothing else.
func isWeb(name string) bool {
	for word := range strings.SplitSeq(name, "-") {
		switch word {
		case "", "http", "https", "web", "ui", "webui", "service", "nginx", "proxy", "oauth", "oauth2":
		default:
			return false
		}
	}
	return true
}

// isProxied reports whether p's name says that an authenticating proxy, or one
// that ends TLS, stands there in front of the container's own port.
func isProxied(p *corev1.ServicePort) bool {
	for _, name := range [...]string{p.Name, p.TargetPort.StrVal} {
		switch name {
		case "https", "https-web", "web-https", "oauth-proxy", "oauth2-proxy", "auth-proxy", "kube-rbac-proxy":
			return true
		}
	}
	return false
}

// isTLS reports whether something in svc says that p speaks TLS.
func (r *Rules) isTLS(svc *corev1.Service, p *corev1.ServicePort) bool {
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
	for key := range svc.Spec.Selector {
		if r.tlsKeys[key] { // the operator turns TLS on, and calls the port so
			return p.Name != "http"
		}
	}
	if tls, said := saysTLS(p); said {
		return tls
	}
	if svc.Annotations["service.beta.openshift.io/serving-cert-secret-name"] == "" &&
		svc.Annotations["service.alpha.openshift.io/serving-cert-secret-name"] == "" {
		return false
	}
	// OpenShift makes a certificate for the Service; what has one, uses it. If
	// another port says that it speaks TLS, that one does: often a proxy's.
	for i := range svc.Spec.Ports {
		if tls, _ := saysTLS(&svc.Spec.Ports[i]); tls {
			return false
		}
	}
	return true
}

// saysTLS reports what p's name or number says of TLS, if they say anything.
func saysTLS(p *corev1.ServicePort) (tls, said bool) {
	for _, name := range [...]string{p.Name, p.TargetPort.StrVal} {
		if strings.Contains(name, "oauth-proxy") { // OpenShift's, which speaks TLS only
			return true, true
		}
		for word := range strings.SplitSeq(name, "-") {
			switch word {
			case "https", "tls", "ssl":
				return true, true
			case "http":
				return false, true
			}
		}
	}
	t := targetNumber(p)
	tls = p.Port == 443 || p.Port == 8443 || t == 443 || t == 8443
	return tls, tls
}
