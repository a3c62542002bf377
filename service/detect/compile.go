package detect

// compile builds what Identify looks things up in. It numbers the kinds.
func compile(kinds []*kind, words wordLists) *Rules {
	r := &Rules{
		kinds: kinds, byType: map[string]*kind{}, selectorKeys: map[string]int16{},
		keys: words.keys, neutral: words.neutral, numbers: map[int32]bool{},
	}
	v := &r.vocabulary
	for _, s := range words.roles {
		v.term(s).role = true
	}
	for i, k := range kinds {
		k.id = int16(i) //nolint:gosec // there are at most maxKinds
		r.byType[k.typ] = k
		for _, s := range k.names {
			v.term(s).kind = k.id
		}
		for _, s := range k.weakNames {
			m := v.term(s)
			m.weak = append(m.weak, k.id)
			m.allow = append(m.allow, k.id)
		}
		for _, s := range k.except {
			m := v.term(s)
			m.except = append(m.except, k.id)
		}
		for _, s := range k.allow {
			m := v.term(s)
			m.allow = append(m.allow, k.id)
		}
		for _, p := range k.ports {
			if len(p.named) == 0 { // not one that anything might use
				r.numbers[p.number] = true
			}
			if p.identifies {
				r.proofs = append(r.proofs, proof{p.number, k.id})
			}
		}
		for _, s := range k.selectorKeys {
			r.selectorKeys[s] = k.id
		}
	}
	return r
}

// Word lists are what words.yaml holds.
type wordLists struct {
	keys    map[string]key // which labels say what a Service is
	neutral map[string]bool
	roles   []string
}

func (r *reader) words(data []byte) wordLists {
	w := wordLists{keys: map[string]key{}, neutral: map[string]bool{}}
	root := r.document(data)
	if root == nil {
		return w
	}
	m := r.mapping(root, "", "nameKeys", "componentKeys", "ignoredKeys", "roles", "neutral")
	rank := 0
	for _, list := range []struct {
		field string
		class keyClass
	}{{"nameKeys", keyName}, {"componentKeys", keyComponent}, {"ignoredKeys", keyIgnored}} {
		for _, s := range r.texts(m[list.field], list.field, func(string) string { return "" }) {
			w.keys[s] = key{list.class, rank}
			rank++
		}
	}
	w.roles = r.texts(m["roles"], "roles", wordProblem)
	for _, s := range r.texts(m["neutral"], "neutral", wordProblem) {
		w.neutral[s] = true
	}
	return w
}
