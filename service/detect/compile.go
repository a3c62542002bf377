package detect

import "kubernaut.io/dynamic-toolset/service/internal/strictyaml"

// compile builds the tables that Identify uses. It numbers the kinds.
func compile(kinds []*kind, words wordLists) *Rules {
	r := &Rules{
		kinds: kinds, byType: map[string]*kind{}, selectorKeys: map[string]int16{},
		keys: words.keys, neutral: words.neutral, parts: words.parts, numbers: map[int32]bool{}, others: words.others,
		tlsKeys: map[string]bool{}, identities: identities(kinds), images: words.images.clone(),
	}
	v := &r.vocabulary
	for _, s := range words.roles {
		v.term(s).role = true
	}
	for _, s := range words.localRoles {
		m := v.term(s)
		m.role, m.behind = true, true
	}
	for _, s := range words.fronts {
		v.term(s)
	}
	for i, k := range kinds {
		k.id = int16(i) // there are at most maxKinds
		r.byType[k.typ] = k
		if len(k.appProtocols)+len(k.labels) > 0 {
			r.declarable = append(r.declarable, k)
		}
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
			if len(p.named) == 0 { // with a name it may be a port of anything
				r.numbers[p.number] = true
			}
			if p.identifies || len(p.identifiedBy) > 0 {
				r.proofs = append(r.proofs, proof{p.number, k.id, p.identifiedBy})
			}
		}
		for _, s := range k.images {
			r.images.add(s, k.id)
		}
		for _, s := range k.tlsKeys {
			r.tlsKeys[s] = true
		}
		for _, s := range k.selectorKeys {
			r.selectorKeys[s] = k.id
		}
	}
	return r
}

// wordLists are the content of words.yaml.
type wordLists struct {
	keys              map[string]key // label keys that say what a Service is
	neutral, parts    map[string]bool
	roles, localRoles []string
	fronts            []string
	others            map[int32]bool
	images            imageTable // without those of kinds
}

func readWords(r *strictyaml.Reader, data []byte) wordLists {
	w := wordLists{keys: map[string]key{}, others: map[int32]bool{}}
	m, _ := r.Read(data).Mapping("nameKeys", "componentKeys", "ignoredKeys", "roles", "localRoles", "fronts", "neutral", "parts", "otherPorts",
		"imagePrefixes", "imageSuffixes", "imageHelpers", "imageProxies", "imageOthers")
	rank := 0
	for _, list := range []struct {
		field string
		class keyClass
	}{{"nameKeys", keyName}, {"componentKeys", keyComponent}, {"ignoredKeys", keyIgnored}} {
		for _, s := range m.Get(list.field).Texts(maxListItems, func(string) string { return "" }) {
			w.keys[s] = key{list.class, rank}
			rank++
		}
	}
	terms := func(field string) []string { return m.Get(field).Texts(maxListItems, wordProblem) }
	set := func(field string) map[string]bool {
		all := map[string]bool{}
		for _, s := range terms(field) {
			all[s] = true
		}
		return all
	}
	w.roles, w.localRoles, w.fronts = terms("roles"), terms("localRoles"), terms("fronts")
	w.neutral, w.parts = set("neutral"), set("parts")
	w.images = imageTable{known: map[string]runs{}, prefixes: set("imagePrefixes"), suffixes: set("imageSuffixes")}
	for field, use := range map[string]imageUse{"imageHelpers": imageHelper, "imageProxies": imageProxy, "imageOthers": imageOther} {
		for _, s := range m.Get(field).Texts(maxListItems, imageNameProblem) {
			w.images.known[imageKey(s)] = runs{use: use}
		}
	}
	for _, port := range m.Get("otherPorts").List(maxListItems) {
		w.others[port.Number(1, 65535)] = true
	}
	return w
}
