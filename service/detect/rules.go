package detect

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// customType is the type of Services that only annotations declare.
const customType = "custom"

var (
	//go:embed rules.yaml
	rulesYAML []byte
	//go:embed words.yaml
	wordsYAML []byte
)

// Rules are compiled rules. They never change, and may be used concurrently.
type Rules struct {
	kinds        []*kind
	byType       map[string]*kind
	vocabulary   vocabulary
	selectorKeys map[string]int16 // selector keys that only the pods of one kind have
	keys         map[string]key   // label keys that say what a Service is
	neutral      map[string]bool
	parts        map[string]bool
	proofs       []proof
	numbers      map[int32]bool  // query ports without required names
	others       map[int32]bool  // ports at which no kind answers queries
	tlsKeys      map[string]bool // selector keys of operators that turn TLS on
}

// A key says what the values of a label key mean.
type key struct {
	class keyClass
	rank  int // the order in which values are read, general ones first
}

type keyClass uint8

const (
	keyUnknown keyClass = iota
	keyIgnored
	keyName      // what it is: app.kubernetes.io/name, app
	keyComponent // which part of it: app.kubernetes.io/component
)

// Types returns the types of back end that the rules know, sorted.
func (r *Rules) Types() []string { return slices.Sorted(maps.Keys(r.byType)) }

// builtin returns the embedded rules.
var builtin = sync.OnceValue(func() *Rules {
	r, err := load([]byte("kinds: []"), "")
	if err != nil {
		panic("detect: the embedded rules are wrong, which tests must have shown: " + err.Error())
	}
	return r
})

// defaults returns the kinds and words of the embedded files, read once. They must not be
// changed.
var defaults = sync.OnceValues(func() (parsed, error) {
	rules, words := &reader{file: "built-in rules.yaml"}, &reader{file: "built-in words.yaml"}
	kinds, _ := rules.kinds(rulesYAML)
	p := parsed{kinds, words.words(wordsYAML)}
	return p, errors.Join(rules.err(), words.err())
})

type parsed struct {
	kinds []located
	words wordLists
}

func load(user []byte, filename string) (*Rules, error) {
	built, err := defaults()
	if err != nil {
		return nil, err
	}
	theirs := &reader{file: cmp.Or(filename, "rules file")}
	added, disabled := theirs.kinds(user)
	kinds := theirs.merge(built.kinds, added, disabled)
	if err := theirs.err(); err != nil {
		return nil, err
	}
	return compile(kinds, built.words), nil
}

// A located is a kind and where in a file it is defined, for error messages.
type located struct {
	*kind
	node *yaml.Node
	path string
}

// kinds reads a rules file, and returns the kinds that it defines and those that it
// disables.
func (r *reader) kinds(data []byte) (defined, disabled []located) {
	root := r.document(data)
	if root == nil {
		return nil, nil
	}
	m := r.mapping(root, "", "kinds")
	if m != nil && m["kinds"] == nil {
		r.bad(root, "", `has no kinds; write "kinds: []" for no rules of your own`)
	}
	lines := map[string]int{}
	for i, n := range r.list(m["kinds"], "kinds", maxKinds) {
		path := fmt.Sprintf("kinds[%d]", i)
		k, off := r.kind(n, path)
		if k == nil || k.typ == "" {
			continue
		}
		if line := lines[k.typ]; line != 0 {
			r.bad(n, path, "the type %s is defined in line %d already; keep one", k.typ, line)
			continue
		}
		lines[k.typ] = n.Line
		l := located{k, n, path + " (" + k.typ + ")"}
		if off {
			disabled = append(disabled, l)
		} else {
			defined = append(defined, l)
		}
	}
	return defined, disabled
}

// merge returns the built-in kinds without the disabled ones, and with the user's kinds in
// place of those of the same type or at the end.
func (r *reader) merge(defaults, added, disabled []located) []*kind {
	at := map[string]int{}
	for i, d := range defaults {
		at[d.typ] = i
	}
	all := slices.Clone(defaults)
	for _, d := range disabled {
		i, ok := at[d.typ]
		if !ok {
			r.bad(d.node, d.path, "there is no built-in kind of this type to disable; there are %s", strings.Join(slices.Sorted(maps.Keys(at)), ", "))
			continue
		}
		all[i].kind = nil
	}
	for _, a := range added {
		if i, ok := at[a.typ]; ok {
			all[i] = a
		} else {
			all = append(all, a)
		}
	}
	all = slices.DeleteFunc(all, func(l located) bool { return l.kind == nil })
	if len(all) > maxKinds {
		r.bad(nil, "", "makes %d kinds with the built-in ones; at most %d are accepted", len(all), maxKinds)
	}
	r.collisions(all)
	kinds := make([]*kind, len(all))
	for i, l := range all {
		k := *l.kind // a copy: compile numbers them
		kinds[i] = &k
	}
	return kinds
}

// collisions reports names and selector keys that would mean two kinds. Names are the same
// if they have the same words.
func (r *reader) collisions(all []located) {
	owner := map[string]string{}
	claim := func(l located, field, form, s string) {
		if first, ok := owner[form]; ok && first != l.typ {
			r.bad(l.node, l.path+"."+field, "%s already means the kind %s; use another, or disable that kind", quoted(s), first)
			return
		}
		owner[form] = l.typ
	}
	for _, l := range all {
		for _, s := range l.names {
			var tokens [maxTokens]string
			claim(l, "names", "name "+strings.Join(split(s, tokens[:0]), "-"), s)
		}
		for _, s := range l.selectorKeys {
			claim(l, "selectorKeys", "key "+s, s)
		}
	}
}
