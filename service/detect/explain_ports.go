package detect

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// portNotes says what k makes of the ports of svc.
func (r *Rules) portNotes(k *kind, svc *corev1.Service) []PortNote {
	best := r.choose(k, svc)
	var notes []PortNote
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		note := PortNote{Port: (&choice{port: p}).describe(), Chosen: best.port == p}
		switch f, _, why := r.fit(k, p); {
		case p.Protocol == corev1.ProtocolUDP || p.Protocol == corev1.ProtocolSCTP:
			note.Text = "is not read: its protocol is " + string(p.Protocol)
		default:
			note.Text = r.portText(k, p, why)
			if f == fitSole && !note.Chosen {
				note.Text += "; it would count only as the one TCP port of the Service"
			}
			if isLegacy(p) {
				note.Text += "; its name says that it is for old clients"
			}
		}
		notes = append(notes, note)
	}
	return notes
}

// portText says why p fits k, or why it does not.
func (r *Rules) portText(k *kind, p *corev1.ServicePort, why because) string {
	switch why {
	case becauseNumber:
		return fmt.Sprintf("is a number at which %s answers queries", k.typ)
	case becauseProtocol:
		return fmt.Sprintf("says by its appProtocol that it is of %s", k.typ)
	case becauseNameless:
		var names []string
		for _, w := range k.ports {
			if len(w.named) > 0 && (targetNumber(p) == w.number || p.Port == w.number) {
				names = append(names, w.named...)
			}
		}
		return fmt.Sprintf("has a number at which %s answers queries, if the port is called %s", k.typ, orList(names))
	case becauseTaken:
		return r.takenBy(k, targetNumber(p))
	case becauseName:
		return fmt.Sprintf("has a name under which %s answers queries", k.typ)
	case becauseRemapped:
		return fmt.Sprintf("has a number of %s, but leads to port %s of the pods, which is none", k.typ, p.TargetPort.String())
	case becauseCommon:
		return "is a number that any web application may have"
	case becauseProxied:
		return "has the name of a proxy for TLS or for credentials, behind which anything may be"
	case becauseWeb:
		return "says by its name no more than that it is HTTP"
	}
	return fmt.Sprintf("has neither a number nor a name of %s", k.typ)
}

// takenBy says which other use the number of a container's port has.
func (r *Rules) takenBy(k *kind, number int32) string {
	var kinds []string
	for _, o := range r.kinds {
		if o != k && slices.ContainsFunc(o.ports, func(p port) bool { return p.number == number && len(p.named) == 0 }) {
			kinds = append(kinds, o.typ)
		}
	}
	if len(kinds) == 0 {
		return fmt.Sprintf("leads to port %d of the pods, which is known for something other than queries", number)
	}
	return fmt.Sprintf("leads to port %d of the pods, which is one of %s", number, orList(kinds))
}
