package detect

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// A fit says how certain it is that a port is a kind's query port.
type fit uint8

const (
	fitNone   fit = iota
	fitSole       // the only TCP port, and nothing contradicts
	fitCommon     // a port that any web application may have, such as 80
	fitName       // by name only
	fitNumber     // by the number of the container's or the Service's port
)

// A choice is the port that was chosen.
type choice struct {
	fit    fit
	rule   port // the zero port unless found by number
	port   *corev1.ServicePort
	number int32 // the number to connect to
}

// choose returns the query port of k in svc: the best fit; among equal fits the first in
// the rule, then the first in svc.
func (r *Rules) choose(k *kind, svc *corev1.Service) choice {
	if p := k.declaredPort(svc); p != nil {
		return choice{fit: fitNumber, port: p, number: reachable(svc, p)}
	}
	var best choice
	bestRank, tcp := 0, 0
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.Protocol == corev1.ProtocolUDP || p.Protocol == corev1.ProtocolSCTP || p.Port < 1 || p.Port > 65535 {
			continue
		}
		tcp++
		f, rank, _ := r.fit(k, p)
		if isLegacy(p) && best.fit != fitNone {
			continue // the same port under an old name
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

// A because says what a fit follows from.
type because uint8

const (
	becauseUnknown  because = iota // neither number nor name say anything
	becauseNumber                  // the number is one of the kind's
	becauseNameless                // the number is one of the kind's, but has none of the names it must have
	becauseTaken                   // the container's port has another use
	becauseName                    // the name is one of the kind's
	becauseRemapped                // the number is one of the kind's, but leads to an unknown port
	becauseCommon                  // any web application may have the number
	becauseProxied                 // the name is that of a proxy
	becauseProtocol                // its appProtocol is one of the kind's
	becauseWeb                     // the name says no more than that it is HTTP
)

// fit returns how well p fits, the index of the port in the rule that it fits, and why;
// the index is len(k.ports) or more if it fits none.
func (r *Rules) fit(k *kind, p *corev1.ServicePort) (fit, int, because) {
	if k.speaks(p) {
		return fitNumber, len(k.ports), becauseProtocol
	}
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
			return fitNumber, i, becauseNumber
		case p.Port == w.number && remapped == fitNone:
			remapped, remappedRank = fitCommon, i // mapped to an unknown port
		}
	}
	switch {
	case own < len(k.ports): // its name says nothing else
		return fitSole, own, becauseNameless
	case r.numbers[target], r.others[target]: // a port of another kind, or another port of this one
		return fitNone, 0, becauseTaken
	case k.portName(p) >= 0:
		if remappedRank == len(k.ports) {
			remappedRank += k.portName(p)
		}
		return fitName, remappedRank, becauseName
	case remapped != fitNone:
		return remapped, remappedRank, becauseRemapped
	case !k.commonPorts:
	case isCommon(p):
		return fitCommon, len(k.ports), becauseCommon
	case isProxied(p):
		return fitCommon, len(k.ports), becauseProxied
	// If the target is known by name only, the Service's port may have any number, but
	// hardly one of another kind.
	case !otherNamed && !r.numbers[p.Port] && !r.others[p.Port] && isWeb(p.Name) && (target > 0 || isWeb(p.TargetPort.StrVal)):
		return fitSole, len(k.ports), becauseWeb
	}
	if otherNamed {
		return fitNone, 0, becauseNameless
	}
	return fitNone, 0, becauseUnknown
}

// isNoName reports whether the name of p is empty, or only repeats its number or protocol,
// such as "9094-tcp".
func isNoName(p *corev1.ServicePort) bool {
	name := strings.Trim(strings.ReplaceAll(p.Name, "tcp", ""), "-")
	return name == "" || name == strconv.Itoa(int(p.Port))
}

// portName returns the index in k.portNames of the name of p or of its target; -1 if
// neither is there.
func (k *kind) portName(p *corev1.ServicePort) int {
	if i := slices.Index(k.portNames, p.Name); i >= 0 {
		return i
	}
	return slices.Index(k.portNames, p.TargetPort.StrVal)
}

// exceptPort returns a port of svc that a back end of kind k does not have; 0 if there is
// none.
func (k *kind) exceptPort(svc *corev1.Service) int32 {
	for i := range svc.Spec.Ports {
		if p := svc.Spec.Ports[i].Port; slices.Contains(k.exceptPorts, p) {
			return p
		}
	}
	return 0
}

// identified returns the kind that a port of svc proves, by number, or by number and name;
// -1 if there is none.
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

// A proof is a port number that only one kind uses, under one of these names if there are
// any.
type proof struct {
	number int32
	kind   int16
	named  []string
}

// targetNumber returns the number of the container's port; 0 if only its name is known.
// Beside a name there is a number if the workloads tell it (Rules.lookAt).
func targetNumber(p *corev1.ServicePort) int32 {
	switch {
	case p.TargetPort.StrVal != "":
		return p.TargetPort.IntVal
	case p.TargetPort.IntVal != 0:
		return p.TargetPort.IntVal
	}
	return p.Port
}

// reachable returns the port number to connect to. The name of a headless Service leads to
// the pods themselves, where the Service's port is not mapped to the container's.
func reachable(svc *corev1.Service, p *corev1.ServicePort) int32 {
	if t := targetNumber(p); reachesPods(svc) && t > 0 && t <= 65535 {
		return t
	}
	return p.Port
}

// reachable is like the function reachable. In addition, if the target is known by name
// only and the Service's port is 80 or 443, which the pods of these products can't listen
// at without privileges, it returns the kind's own port: that of the rule at rank, or the
// first.
func (k *kind) reachable(svc *corev1.Service, p *corev1.ServicePort, rank int) int32 {
	if reachesPods(svc) && targetNumber(p) == 0 && (p.Port == 80 || p.Port == 443) {
		if rank < len(k.ports) {
			return k.ports[rank].number
		}
		if len(k.ports) > 0 {
			return k.ports[0].number
		}
	}
	return reachable(svc, p)
}

// reachesPods reports whether clients of svc connect to the ports of its pods. A headless
// Service without a selector has the ports that its owner chose.
func reachesPods(svc *corev1.Service) bool { return isHeadless(svc) && len(svc.Spec.Selector) > 0 }

// isCommon reports whether p is like the only web port of many charts.
func isCommon(p *corev1.ServicePort) bool { return isCommonNumber(p.Port) && isWeb(p.Name) }

// isCommonNumber reports whether any web application may listen at n.
func isCommonNumber(n int32) bool { return n == 80 || n == 443 || n == 8080 || n == 8443 }

// isWeb reports whether the name of a port says nothing but that it speaks HTTP, perhaps
// behind a proxy.
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

// isProxied reports whether the name of p says that a proxy for authentication or TLS is in
// front of the container's port.
func isProxied(p *corev1.ServicePort) bool {
	for _, name := range [...]string{p.Name, p.TargetPort.StrVal} {
		switch name {
		case "https", "https-web", "web-https", "oauth-proxy", "oauth2-proxy", "auth-proxy", "kube-rbac-proxy":
			return true
		}
	}
	return false
}

// isTLS reports whether svc says that p speaks TLS.
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
		if r.tlsKeys[key] { // the operator turns TLS on, and calls a port without it http
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
	// OpenShift makes a certificate for the Service, which some port must use. If another
	// port says that it speaks TLS, often that of a proxy, it is that one.
	for i := range svc.Spec.Ports {
		if tls, _ := saysTLS(&svc.Spec.Ports[i]); tls {
			return false
		}
	}
	return true
}

// saysTLS reports whether p speaks TLS, if its name or number says anything about that.
func saysTLS(p *corev1.ServicePort) (tls, said bool) {
	for _, name := range [...]string{p.Name, p.TargetPort.StrVal} {
		if strings.Contains(name, "oauth-proxy") { // OpenShift's proxy, which speaks only TLS
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
