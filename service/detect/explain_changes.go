package detect

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// A Purpose says what a Change is for.
type Purpose string

// The purposes.
const (
	ToList   Purpose = "list"        // the Service gets a toolset
	ToRepair Purpose = "repair"      // there is no annotation with a mistake
	ToSplit  Purpose = "own toolset" // it is never a mere alias of another Service
	ToPrefer Purpose = "primary"     // it is marked as the primary of its type
	ToRetype Purpose = "type"        // it is listed as another kind
	ToSwitch Purpose = "switch off"  // it is not listed
)

// exampleEndpoint stands for an address that only people know.
const exampleEndpoint = "http://example.internal:8080"

// A Change of annotations leads to another result.
type Change struct {
	Purpose Purpose
	Set     map[string]string
	Remove  []string
	// Result is what Identify returns after the change.
	Result Result
	// Caution says when not to do it, or what to do as well; may be empty.
	Caution string
}

// Apply returns annotations after the change.
func (c *Change) Apply(annotations map[string]string) map[string]string {
	now := maps.Clone(annotations)
	if now == nil {
		now = map[string]string{}
	}
	for _, key := range c.Remove {
		delete(now, key)
	}
	maps.Copy(now, c.Set)
	return now
}

// works reports whether the change leads to what it is for. before is the back end without
// it; nil if there is none.
func (c *Change) works(before *service.Backend) bool {
	b := c.Result.Backend
	if c.Purpose == ToSwitch {
		return before != nil && b == nil
	}
	if b == nil {
		return false
	}
	switch typ := c.Set[AnnotationType]; c.Purpose {
	case ToRepair:
		return len(c.Result.Problems) == 0
	case ToSplit:
		return b.Declared
	case ToPrefer:
		return b.Primary
	case ToRetype:
		return b.Type == typ && before != nil && before.Type != typ
	default:
		return before == nil && (typ == "" || b.Type == typ)
	}
}

// caution says what speaks against the kind of st.
func (st *Step) caution() string {
	if len(st.Against) == 0 {
		return ""
	}
	return "Only if it truly is " + st.Kind + ": see what speaks against it."
}

// maxGuesses is the number of kinds for which a change is offered.
const maxGuesses = 2

// changes returns changes of annotations. Each is tried: what it promises is what Identify
// returns.
func (r *Rules) changes(svc *corev1.Service, o Options, x *Explanation) []Change {
	t := trial{rules: r, svc: svc, options: o, before: &x.Result}
	d := declared(svc.Annotations)
	for _, p := range d.problems {
		t.wrong = append(t.wrong, p.Field)
	}
	if len(t.wrong) > 0 {
		t.try(Change{Purpose: ToRepair, Remove: t.wrong})
	}
	if x.Result.Backend != nil {
		t.ofListed(x)
	} else {
		t.ofUnlisted(x, &d)
	}
	return t.changes
}

// A trial collects those changes that have the effect they are for.
type trial struct {
	rules   *Rules
	svc     *corev1.Service
	options Options
	before  *Result
	wrong   []string // annotations with a mistake
	changes []Change
}

// try adds c if it does what it is for, and reports whether it does.
func (t *trial) try(c Change) bool {
	c.Remove = slices.DeleteFunc(slices.Clone(c.Remove), func(key string) bool { return c.Set[key] != "" })
	changed := *t.svc
	changed.Annotations = c.Apply(t.svc.Annotations)
	c.Result = t.rules.identify(&changed, t.options)
	if !c.works(t.before.Backend) {
		return false
	}
	t.changes = append(t.changes, c)
	return true
}

// ofUnlisted tries what would list the Service.
func (t *trial) ofUnlisted(x *Explanation, d *declaration) {
	if d.off && t.try(Change{Purpose: ToList, Remove: append([]string{AnnotationToolset}, t.wrong...)}) {
		return // the rules recognise it
	}
	if !d.off && d.any && t.list("", "") {
		return // the annotations say all the rest
	}
	guesses := 0
	for i := range x.Steps {
		if st := &x.Steps[i]; guesses < maxGuesses && t.list(st.Kind, st.caution()) {
			guesses++
		}
	}
	if guesses == 0 {
		t.list("", "")
	}
}

// list tries to declare the Service a toolset of a type; of none if it is empty. Without a
// port, the declaration needs an endpoint.
func (t *trial) list(typ, caution string) bool {
	c := Change{Purpose: ToList, Set: map[string]string{AnnotationToolset: "true"}, Remove: t.wrong, Caution: caution}
	if typ != "" {
		c.Set[AnnotationType] = typ
	}
	if typ == "" && t.svc.Annotations[AnnotationType] == "" {
		c.Caution = "Add " + AnnotationType + "=TYPE with what it truly is, such as prometheus, if that is known."
	}
	if t.try(c) {
		return true
	}
	c.Set[AnnotationEndpoint] = exampleEndpoint
	c.Caution = "Write the true address in place of " + exampleEndpoint + "."
	return t.try(c)
}

// ofListed tries what would change the toolset.
func (t *trial) ofListed(x *Explanation) {
	b := x.Result.Backend
	if !b.Declared {
		t.try(Change{Purpose: ToSplit, Set: map[string]string{AnnotationToolset: "true"}})
	}
	if !b.Primary {
		t.try(Change{Purpose: ToPrefer, Set: map[string]string{AnnotationPrimary: "true"}})
	}
	guesses := 0
	for i := range x.Steps {
		st := &x.Steps[i]
		if st.Kind != b.Type && guesses < maxGuesses &&
			t.try(Change{Purpose: ToRetype, Set: map[string]string{AnnotationType: st.Kind}, Remove: t.wrong, Caution: st.caution()}) {
			guesses++
		}
	}
	t.try(Change{Purpose: ToSwitch, Set: map[string]string{AnnotationToolset: "false"}})
}
