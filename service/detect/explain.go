package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// An Explanation says for people how Identify came to its result.
type Explanation struct {
	// Result is what Identify returns.
	Result Result
	// Steps are the kinds for which something speaks, the most likely first.
	Steps []Step
	// Silent is the number of the other kinds.
	Silent int
	// Annotations are those of the Service under kubernaut.io/, by key.
	Annotations []Note
	// Changes would lead to another result.
	Changes []Change
}

// A Step says what was found out about one kind.
type Step struct {
	Kind    string
	Outcome Outcome
	// For and Against are sentences without a full stop, as are those of Ports.
	For, Against []string
	// Ports are the Service's ports, in its order, as this kind sees them.
	Ports []PortNote
}

// An Outcome says what became of a kind.
type Outcome string

// The outcomes of a Step.
const (
	// Recognised: the Service is a back end of this kind.
	Recognised Outcome = "recognised"
	// Rejected: the kind was tried, and does not fit.
	Rejected Outcome = "rejected"
	// Outranked: the kind would fit, but one that comes before it does, too.
	Outranked Outcome = "outranked"
	// NotTried: what speaks for the kind is not enough to try it.
	NotTried Outcome = "not tried"
)

// A PortNote says what a kind makes of a port.
type PortNote struct {
	Port   string // such as "9090 (web) to http"
	Chosen bool   // it is the best of them; whether that is enough depends on the rest
	Text   string
}

// Explain does what Identify does, and says why. It takes some hundred times as long. The
// decisions are made by the functions that Identify calls, so it can't say anything else.
func (r *Rules) Explain(svc *corev1.Service, o Options) Explanation {
	x := Explanation{Result: r.identify(svc, o)}
	x.Annotations = r.notes(svc.Annotations, svc.Labels, &x.Result)
	svc, seen := r.lookAt(svc, o.Workloads)
	s := stepper{rules: r, svc: svc, at: map[int16]int{}}
	r.gather(svc, &s.evidence)
	s.evidence.pods = seen
	s.tried()
	s.notTried()
	x.Steps, x.Silent = s.steps, len(r.kinds)-len(s.steps)
	x.Changes = r.changes(svc, o, &x)
	return x
}

// A stepper makes the steps of an Explanation.
type stepper struct {
	rules    *Rules
	svc      *corev1.Service
	evidence evidence
	steps    []Step
	at       map[int16]int // kind -> index in steps
	won      string        // the kind that was recognised; empty if none was
}

// tried adds the kinds that recognise tries, in its order, and those that it would have
// tried next.
func (s *stepper) tried() {
	for c := range s.rules.inOrder(s.svc, &s.evidence) {
		k := s.rules.kinds[c.kind]
		st := s.step(k, c.trust)
		var f finding
		switch accepted := s.rules.accept(s.svc, &s.evidence, c, &f); {
		case accepted && s.won == "":
			st.Outcome, s.won = Recognised, k.typ
		case accepted && st.Outcome != Recognised:
			st.Outcome = Outranked
			st.Against = addNew(st.Against, "what speaks for "+s.won+" counts more, and fits as well")
		case !accepted && (s.won == "" || st.Outcome != Recognised):
			if st.Outcome == "" {
				st.Outcome = Rejected
			}
			st.Against = addNew(st.Against, f.why)
			if s.rules.choose(k, s.svc).fit != fitNumber {
				st.Against = addNew(st.Against, k.answersAt())
			}
		}
	}
}

// step returns the step of k, and adds to it what speaks for k.
func (s *stepper) step(k *kind, t trust) *Step {
	i, known := s.at[k.id]
	if !known {
		i = len(s.steps)
		s.at[k.id] = i
		s.steps = append(s.steps, Step{Kind: k.typ, Ports: s.rules.portNotes(k, s.svc)})
	}
	st := &s.steps[i]
	if text := k.declaration(s.svc); text != "" {
		st.For = addNew(st.For, text+" declares it")
	}
	for j := range min(len(s.svc.Spec.Ports), maxServicePorts) {
		if image := s.evidence.pods.describe(k, &s.svc.Spec.Ports[j]); image != "" {
			st.For = addNew(st.For, "its pods run the "+image)
		}
	}
	for _, text := range s.evidence.speaksFor(k, t == trustWeak) {
		st.For = addNew(st.For, text)
	}
	if ch := s.rules.choose(k, s.svc); ch.fit >= fitName {
		st.For = addNew(st.For, fmt.Sprintf("port %s is one at which %s answers queries", ch.describe(), k.typ))
	}
	if t == trustPort && len(k.names) > 0 {
		st.For = addNew(st.For, "nothing else uses that port in this way, which is enough without a name")
	}
	return st
}

// speaksFor returns which words name k. With weak, weak names and the Helm chart count as
// well.
func (e *evidence) speaksFor(k *kind, weak bool) (out []string) {
	verb := "names it"
	if weak {
		verb = "may mean it"
	}
	if v := e.selector.source(k.id, weak); v.key == "externalName" {
		out = append(out, "the external name, which begins with "+v.text+", "+verb)
	} else if v.key != "" {
		out = append(out, "the selector's "+v.key+"="+v.text+" "+verb)
	}
	if e.operator == k.id {
		out = append(out, "the selector has the key "+e.operatorKey+", which only its operator sets")
	}
	if v := e.labels.source(k.id, weak); v.key != "" {
		out = append(out, "the label "+v.key+"="+v.text+" "+verb)
	}
	if e.name.mention(k.id, weak) >= 0 {
		out = append(out, "the Service's name "+verb)
	}
	if len(out) == 0 && weak && e.chart != "" {
		out = append(out, "the Helm chart "+e.chart+" is called after it")
	}
	return out
}

// notTried adds the kinds that something names, but that recognise does not try.
func (s *stepper) notTried() {
	type guess struct {
		kind *kind
		step Step
	}
	var portOnly []guess
	for _, k := range s.rules.kinds {
		if _, known := s.at[k.id]; known {
			continue
		}
		var against string
		speaks := []string(nil)
		if s.evidence.mentions(k.id, false) {
			speaks, against = s.evidence.speaksFor(k, false), s.overruled(k)
		} else if s.evidence.mentions(k.id, true) {
			speaks, against = s.evidence.speaksFor(k, true), s.tooWeak(k)
		}
		ch := s.rules.choose(k, s.svc)
		switch unread := s.unread(k); {
		case speaks != nil:
		case s.won == "" && unread != "":
			speaks, against = []string{unread + " names it"}, unread+" does not count: such a label says to which installation, release or team something belongs, or is of another program"
		case ch.fit == fitNumber && len(ch.rule.named) == 0: // under a name such as http it may be anything's
			portOnly = append(portOnly, guess{k, Step{Kind: k.typ, Outcome: NotTried, Ports: s.rules.portNotes(k, s.svc),
				For:     []string{fmt.Sprintf("port %s is one at which %s answers queries", ch.describe(), k.typ)},
				Against: []string{fmt.Sprintf("other programs use that port, too, and no word in the selector, the labels or the name means %s", k.typ)}}})
			continue
		default:
			continue
		}
		if ch.fit == fitNumber {
			speaks = append(speaks, fmt.Sprintf("port %s is one at which %s answers queries", ch.describe(), k.typ))
		}
		s.at[k.id] = len(s.steps)
		s.steps = append(s.steps, Step{Kind: k.typ, Outcome: NotTried, For: speaks, Against: []string{against}, Ports: s.rules.portNotes(k, s.svc)})
	}
	if len(s.steps) > 0 {
		return
	}
	for _, g := range portOnly {
		s.at[g.kind.id] = len(s.steps)
		s.steps = append(s.steps, g.step)
	}
}

// mentions reports whether a source names k.
func (e *evidence) mentions(k int16, weak bool) bool {
	for _, s := range e.sources() {
		if s.mention(k, weak) >= 0 {
			return true
		}
	}
	return false
}

// overruled returns why k, which something names, was not tried.
func (s *stepper) overruled(k *kind) string {
	e := &s.evidence
	head := e.selector.head()
	if head < 0 {
		head = e.operator
	}
	if head >= 0 && e.selector.mention(k.id, false) < 0 {
		return "the selector names " + s.rules.kinds[head].typ + ", and it decides which pods answer"
	}
	for where, stream := range e.sources() {
		if stream.mention(k.id, false) >= 0 {
			if last := stream.head(); last != k.id && last >= 0 {
				return fmt.Sprintf("in the %s, the last word that names a kind counts, which is that of %s", where, s.rules.kinds[last].typ)
			}
		}
	}
	return "other words count more"
}

// tooWeak returns why k, which a weak name may mean, was not tried.
func (s *stepper) tooWeak(k *kind) string {
	for _, stream := range s.evidence.sources() {
		if head := stream.head(); head >= 0 {
			return "this word may mean other things, and counts only if nothing names a kind; " + s.rules.kinds[head].typ + " is named"
		}
	}
	return "this word may mean several things, so that the Service must also have a port whose number is the kind's; " + k.answersAt()
}

// unread returns a label, of the Service or of the selector, that names k and is not read;
// empty if there is none.
func (s *stepper) unread(k *kind) string {
	for i, labels := range []map[string]string{s.svc.Spec.Selector, s.svc.Labels} {
		what := []string{"the selector's ", "the label "}[i]
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			if c := s.rules.class(key).class; c == keyName || c == keyComponent || c == keyUnknown && i == 0 {
				continue // it was read
			}
			if s.rules.named(labels[key]) == k.id {
				return what + key + "=" + labels[key]
			}
		}
	}
	return ""
}

// addNew appends text unless it is empty or there already.
func addNew(all []string, text string) []string {
	if text == "" || slices.Contains(all, text) {
		return all
	}
	return append(all, text)
}

// answersAt returns at which ports k answers queries.
func (k *kind) answersAt() string {
	var conditions []string // of ports, in the order of the rule
	numbers := map[string][]string{}
	for _, p := range k.ports {
		condition := ""
		if len(p.named) > 0 {
			condition = " if it is called " + orList(p.named)
		}
		if numbers[condition] == nil {
			conditions = append(conditions, condition)
		}
		numbers[condition] = append(numbers[condition], fmt.Sprint(p.number))
	}
	var ports []string
	for _, c := range conditions {
		ports = append(ports, orList(numbers[c])+c)
	}
	if len(ports) == 0 {
		var declared []string
		for _, l := range k.labels {
			declared = append(declared, l.key+"="+l.value)
		}
		return k.typ + " is declared by the appProtocol " + orList(k.appProtocols) + ", or by the label " + orList(declared)
	}
	text := k.typ + " answers queries at port " + strings.Join(ports, ", or ")
	if len(k.portNames) > 0 {
		text += ", or at one called " + orList(k.portNames)
	}
	return text
}

// orList joins words with commas and "or".
func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
