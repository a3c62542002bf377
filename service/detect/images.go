package detect

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service"
)

// An image says more than any label: it is what the pods run. So, where the workloads are
// known,
//
//   - a Service whose pods run the image of a kind, at a port of that kind, is one of that
//     kind, whatever its selector, labels and name say, and
//   - a Service whose pods run something else is not what its labels and name say.
//
// Of a pod, the container counts that declares the port to which the Service sends. If none
// does, or only a helper or proxy in front of the others, all containers count. An image
// that nobody has listed says nothing.
//
// The images of some kinds run several parts of a product, or several programs
// (imagesRun). They speak against other kinds, but the words still say which part it is.

// imagesRun says what the images of a kind run.
type imagesRun uint8

const (
	runOne      imagesRun = iota // just what answers queries
	runParts                     // parts of the product: words of "except" are heard
	runPrograms                  // other programs as well: a word must name the kind
)

// Bounds on what is looked at for one Service, so that nobody's workloads delay the others.
// The rest is as if it were not there.
const (
	maxPodContainers = 500 // of all its workloads together
	maxServicePorts  = 50
)

// pods are the workloads whose pods a Service selects.
type pods struct {
	workloads []*service.Workload
	runs      [][]runs // of their containers
	rules     *Rules
}

// A sight is what the pods run at a port, as far as it is known.
type sight struct {
	kinds []int16 // that of the pods are sure
	// declared means that the container of the kind declares the port.
	declared bool
	against  bool // all pods run something that is no back end, or a proxy
	proxy    bool // a proxy or web server, which may be a front of some kinds
	image    string
	workload *service.Workload // with that image
}

// lookAt returns the workloads of svc, and svc with the numbers of those target ports that
// it has by name, as far as the workloads tell them. It does not change svc.
func (r *Rules) lookAt(svc *corev1.Service, all service.Workloads) (*corev1.Service, pods) {
	if all == nil || len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return svc, pods{}
	}
	p := pods{rules: r}
	containers := 0
	for _, w := range all.Selected(namespaceOf(svc), svc.Spec.Selector) {
		if containers += len(w.Containers); containers > maxPodContainers {
			break
		}
		run := make([]runs, len(w.Containers))
		for i := range w.Containers {
			run[i] = r.look(w.Containers[i].Image)
		}
		p.workloads, p.runs = append(p.workloads, w), append(p.runs, run)
	}
	if len(p.workloads) == 0 {
		return svc, pods{}
	}
	copied := false
	for i := range min(len(svc.Spec.Ports), maxServicePorts) {
		n := p.number(svc.Spec.Ports[i].TargetPort)
		if n == 0 {
			continue
		}
		if !copied {
			c := *svc
			c.Spec.Ports = slices.Clone(svc.Spec.Ports)
			svc, copied = &c, true
		}
		svc.Spec.Ports[i].TargetPort.IntVal = n // beside the name; see targetNumber
	}
	return svc, p
}

func namespaceOf(svc *corev1.Service) string {
	if svc.Namespace == "" {
		return corev1.NamespaceDefault
	}
	return svc.Namespace
}

// number returns the number of the container port with the name in target; 0 if there is
// none, or if it differs among the pods.
func (p *pods) number(target intstr.IntOrString) (n int32) {
	if target.StrVal == "" {
		return 0
	}
	for _, w := range p.workloads {
		for _, c := range w.Containers {
			for _, port := range c.Ports {
				if port.Name != target.StrVal || port.Number < 1 || port.Number > 65535 {
					continue
				}
				if n != 0 && n != port.Number {
					return 0
				}
				n = port.Number
			}
		}
	}
	return n
}

// see returns what the pods run behind a port of the Service.
func (p *pods) see(port *corev1.ServicePort) (s sight) {
	against := len(p.workloads) > 0
	for i, w := range p.workloads {
		one := seeOne(w, p.runs[i], port)
		switch {
		case len(one.kinds) == 0:
			against = against && one.against
			if i == 0 || one.against && s.image == "" {
				s.image, s.workload, s.proxy = one.image, one.workload, one.proxy
			}
			continue
		case len(s.kinds) == 0:
			s = one
		default: // only that of which all that say anything are sure
			s.kinds = slices.DeleteFunc(s.kinds, func(k int16) bool { return !slices.Contains(one.kinds, k) })
			s.declared = s.declared && one.declared
			if len(s.kinds) == 0 {
				return sight{} // they differ
			}
		}
		against = false
	}
	s.against = against
	return s
}

// seeOne is see for one workload, whose containers run what runs says.
func seeOne(w *service.Workload, runs []runs, port *corev1.ServicePort) sight {
	declaring, helped := false, false
	for i, c := range w.Containers {
		if declares(c, port) {
			declaring = true
			if use := runs[i].use; use == imageHelper || use == imageProxy {
				helped = true // it may pass requests on to any of the others
			}
		}
	}
	s := sight{against: true, declared: declaring && !helped, workload: w}
	some := false // a container that says something, or that nobody knows
	for i, c := range w.Containers {
		if declaring && !helped && !declares(c, port) {
			continue
		}
		switch run := runs[i]; run.use {
		case imageOfKind:
			if len(s.kinds) == 0 {
				s.image, s.proxy = c.Image, false
			}
			s.kinds, s.against = append(s.kinds, run.kinds...), false
		case imageHelper:
		case imageUnknown:
			some, s.against = true, false
		case imageOther, imageProxy:
			if some = true; s.image == "" || len(s.kinds) == 0 {
				s.image, s.proxy = c.Image, run.use == imageProxy
			}
		}
	}
	s.against = s.against && some
	return s
}

// declares reports whether c declares the port of the pods to which p sends.
func declares(c service.Container, p *corev1.ServicePort) bool {
	for _, port := range c.Ports {
		if p.TargetPort.StrVal != "" && port.Name == p.TargetPort.StrVal || p.TargetPort.StrVal == "" && port.Number == targetNumber(p) {
			return true
		}
	}
	return false
}

// look returns what an image runs.
func (r *Rules) look(image string) runs { return r.images.look(image, &r.vocabulary) }

// kinds returns the kinds whose images the pods of svc run at a port that they may answer
// at. Those that the words name as well come first.
func (p *pods) kinds(svc *corev1.Service, words []candidate) (all []candidate) {
	if len(p.workloads) == 0 {
		return nil
	}
	for i := range min(len(svc.Spec.Ports), maxServicePorts) {
		for _, k := range p.see(&svc.Spec.Ports[i]).kinds {
			c := candidate{k, trustImage}
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	named := func(c candidate) int {
		if i := slices.IndexFunc(words, func(w candidate) bool { return w.kind == c.kind }); i >= 0 {
			return i
		}
		return len(words)
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return named(a) - named(b) })
	return all
}

// contradict returns why the pods are no back ends of kind k at the port ch; empty if they
// may be.
func (p *pods) contradict(k *kind, ch *choice, front bool) string {
	if len(p.workloads) == 0 || ch.port == nil {
		return ""
	}
	s := p.see(ch.port)
	if slices.Contains(s.kinds, k.id) || len(s.kinds) == 0 && (!s.against || s.proxy && front) {
		return ""
	}
	return fmt.Sprintf("its pods run the image %s (%s)", printable(s.image), s.workload)
}

// doubtful returns why the image of k is not enough, for a Service of which trustImage
// says that it is k; empty if it is.
func (p *pods) doubtful(k *kind, e *evidence, ch *choice) string {
	s := p.see(ch.port)
	switch {
	case !slices.Contains(s.kinds, k.id):
		return fmt.Sprintf("its pods run nothing of %s at port %d", k.typ, ch.port.Port)
	case (ch.fit == fitCommon || ch.fit == fitSole) && !s.declared:
		return fmt.Sprintf("its pods don't say that they listen at port %d, which could be anything", ch.port.Port)
	case k.imagesRun == runOne:
		return ""
	}
	named := false
	for where, stream := range e.sources() {
		if stream.mention(k.id, k.imagesRun == runParts) >= 0 {
			named = true
		}
		for _, ev := range stream.events {
			if has(ev.except, k.id) || ev.role && !ev.behind && !has(ev.allow, k.id) && stream.isComponent(ev.meaning) {
				return fmt.Sprintf("%q in its %s says that it is something else", ev.text, where)
			}
		}
	}
	if named {
		return ""
	}
	if k.imagesRun == runPrograms {
		return fmt.Sprintf("its image also runs other programs, and nothing else names %s", k.typ)
	}
	// Nothing but the pods says which part they are.
	for _, w := range p.workloads {
		for _, text := range append([]string{w.Key.Name}, values(w.Labels)...) {
			var words [maxTokens]string
			var found [12]event
			for _, ev := range p.rules.vocabulary.read(split(text, words[:0]), found[:0]) {
				if has(ev.except, k.id) {
					return fmt.Sprintf("%q in the name or labels of its pods says that it is something else", ev.text)
				}
			}
		}
	}
	if ch.fit != fitNumber {
		return fmt.Sprintf("only its image says so, and port %d could be that of another part", ch.port.Port)
	}
	return ""
}

func values(m map[string]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}

// prefix returns the path below which the pods answer as k at a port, and which workload
// says so; empty if none does, or they differ. Of a pod, the containers of k count, or, if
// none is known to be, those that declare the port.
func (p *pods) prefix(k *kind, port *corev1.ServicePort) (prefix string, from *service.Workload) {
	if port == nil {
		return "", nil
	}
	for i, w := range p.workloads {
		own, counts := "", false
		for j, c := range w.Containers {
			if slices.Contains(p.runs[i][j].kinds, k.id) {
				own, counts = c.Prefix, true
				break
			}
		}
		for j, c := range w.Containers {
			if use := p.runs[i][j].use; !counts && use != imageHelper && use != imageOther && (declares(c, port) || len(w.Containers) == 1) {
				own, counts = c.Prefix, true
			}
		}
		if i > 0 && own != prefix {
			return "", nil
		}
		prefix, from = own, w
	}
	return prefix, from
}

// describe returns for people what the image of the pods at a port says for k; empty if
// nothing.
func (p *pods) describe(k *kind, port *corev1.ServicePort) string {
	if len(p.workloads) == 0 || port == nil {
		return ""
	}
	if s := p.see(port); slices.Contains(s.kinds, k.id) {
		return fmt.Sprintf("image %s of %s", printable(s.image), s.workload)
	}
	return ""
}

// printable returns the name of an image for a log or a list: the API server accepts any
// text as one.
func printable(image string) string {
	const most = 200
	b := []byte(image)
	if len(b) > most {
		b = append(b[:most:most], "..."...)
	}
	for i, c := range b {
		if c <= ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
