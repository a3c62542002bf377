package detect

import (
	"cmp"
	_ "embed"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"kubernaut.io/dynamic-toolset/service/identity"
	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// Limits of a rules file, far above what anyone needs. They keep a wrong file from using
// much memory.
const (
	maxFileBytes = 256 << 10
	maxKinds     = 200 // built-in ones included
	maxListItems = 200
	maxTextBytes = 300
	maxErrors    = 100 // nobody reads more
)

func newReader() *strictyaml.Reader {
	return &strictyaml.Reader{MaxBytes: maxFileBytes, MaxText: maxTextBytes, MaxProblems: maxErrors}
}

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
	declarable   []*kind         // that a protocol or a label declares
	numbers      map[int32]bool  // query ports without required names
	others       map[int32]bool  // ports at which no kind answers queries
	tlsKeys      map[string]bool // selector keys of operators that turn TLS on
	identities   *identity.Rules
	images       imageTable
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
	rules, words := newReader(), newReader()
	kinds, _ := readKinds(rules, rulesYAML)
	p := parsed{kinds, readWords(words, wordsYAML)}
	return p, errors.Join(rules.Err("built-in rules.yaml"), words.Err("built-in words.yaml"))
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
	theirs := newReader()
	added, disabled := readKinds(theirs, user)
	kinds := merge(theirs, built.kinds, added, disabled)
	if err := theirs.Err(cmp.Or(filename, "rules file")); err != nil {
		return nil, err
	}
	return compile(kinds, built.words), nil
}

// A located is a kind and where in a file it is defined, for error messages.
type located struct {
	*kind
	line  int
	field string
}

// readKinds reads a rules file, and returns the kinds that it defines and those that it
// disables.
func readKinds(r *strictyaml.Reader, data []byte) (defined, disabled []located) {
	root := r.Read(data)
	if !root.Given() {
		if len(r.Problems()) == 0 {
			root.Bad(`is empty; write "kinds: []" for no rules of your own`)
		}
		return nil, nil
	}
	m, ok := root.Mapping("kinds")
	if ok && !m.Has("kinds") {
		m.Bad(`has no kinds; write "kinds: []" for no rules of your own`)
	}
	lines := map[string]int{}
	for _, v := range m.Get("kinds").List(maxKinds) {
		k, off := readKind(v)
		if k == nil || k.typ == "" {
			continue
		}
		if line := lines[k.typ]; line != 0 {
			v.Bad("the type %s is defined in line %d already; keep one", k.typ, line)
			continue
		}
		lines[k.typ] = v.Line()
		l := located{k, v.Line(), v.Field() + " (" + k.typ + ")"}
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
func merge(r *strictyaml.Reader, defaults, added, disabled []located) []*kind {
	at := map[string]int{}
	for i, d := range defaults {
		at[d.typ] = i
	}
	all := slices.Clone(defaults)
	for _, d := range disabled {
		i, ok := at[d.typ]
		if !ok {
			r.Bad(d.line, d.field, "there is no built-in kind of this type to disable; there are %s", strings.Join(slices.Sorted(maps.Keys(at)), ", "))
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
		r.Bad(0, "", "makes %d kinds with the built-in ones; at most %d are accepted", len(all), maxKinds)
	}
	collisions(r, all)
	kinds := make([]*kind, len(all))
	for i, l := range all {
		k := *l.kind // a copy: compile numbers them
		kinds[i] = &k
	}
	return kinds
}

// collisions reports names and selector keys that would mean two kinds. Names are the same
// if they have the same words.
func collisions(r *strictyaml.Reader, all []located) {
	owner := map[string]string{}
	claim := func(l located, field, form, s string) {
		if first, ok := owner[form]; ok && first != l.typ {
			r.Bad(l.line, l.field+"."+field, "%s already means the kind %s; use another, or disable that kind", strictyaml.Quote(s), first)
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
