package strictyaml

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// read reads a document of one form in all the ways that there are.
func read(r *Reader, doc string) (names []string) {
	root := r.Read([]byte(doc))
	if !root.Given() {
		return nil
	}
	m, ok := root.Mapping("name", "ports", "names", "enabled", "free")
	if !ok {
		return nil
	}
	if s := m.Get("name").Text(); s != "" {
		names = append(names, s)
	}
	for _, port := range m.Get("ports").List(3) {
		port.Number(1, 65535)
	}
	names = append(names, m.Get("names").Texts(3, func(s string) string {
		if s == "bad" {
			return "must be good"
		}
		return ""
	})...)
	m.Get("enabled").Bool()
	if m.Has("free") {
		free, _ := m.Get("free").MappingOf(func(key *yaml.Node) string {
			if key.Value == "no" {
				return "must not be here"
			}
			return ""
		})
		names = append(names, free.Keys()...)
	}
	return names
}

func limited() *Reader { return &Reader{MaxBytes: 500, MaxText: 20, MaxProblems: 3} }

func TestReads(t *testing.T) {
	for doc, want := range map[string][]string{
		"":             nil,
		"# nothing":    nil,
		"{}":           nil,
		"name: a\n---": nil, // the second document is empty, and one all the same
		"name: a":      {"a"},
		"\ufeffname: a\nports: [1, 65535]\nnames:\n- b\n- 'é c'\nenabled: TRUE\nfree: {z: 1, y: 2}": {"a", "b", "é c", "y", "z"},
		"&anchor {name: !!str 5}": {"5"},
	} {
		r := limited()
		if got := read(r, doc); !slices.Equal(got, want) || (len(r.Problems()) > 0) != strings.Contains(doc, "---") {
			t.Errorf("%q: got %q, want %q; %v", doc, got, want, r.Err("f"))
		}
	}
}

// Every mistake is told with its line and its field.
func TestMistakes(t *testing.T) {
	for doc, want := range map[string]string{
		"a: [":                             "f: is not YAML: line 1: did not find expected node content",
		strings.Repeat("[", 400):           "f: is not YAML: line 1: did not find expected node content",
		strings.Repeat("#", 501):           "f: has 501 bytes; at most 500 are accepted",
		"# \xff":                           "f: is not UTF-8",
		"\xff\xfea\x00":                    "f: is not UTF-8", // UTF-16, which the YAML library would read
		"name: a\n---\nname: b":            "f:2: holds more than one YAML document; put everything into one, and remove the ---",
		"name: a\n--- [":                   "f: holds more than one YAML document; put everything into one, and remove the ---",
		"[]":                               "f:1: must be a mapping with fields of name, ports, names, enabled, free, not a list",
		"~":                                "f:1: must be a mapping with fields of name, ports, names, enabled, free, not nothing",
		"!!set {name}":                     "f:1: must be a mapping with fields of name, ports, names, enabled, free, not a value with the tag !!set",
		"\nnane: a":                        "f:2: nane: is unknown; did you mean name?",
		"colours: a":                       "f:1: colours: is unknown; the fields are name, ports, names, enabled, free",
		"[a]: b":                           `f:1: "": is unknown; the fields are name, ports, names, enabled, free`,
		"<<: {name: a}":                    "f:1: <<: is unknown; the fields are name, ports, names, enabled, free",
		"\"a\\e[1m\": b":                   `f:1: a\x1b[1m: is unknown; the fields are name, ports, names, enabled, free`,
		strings.Repeat("x", 70) + ": b":    "f:1: " + strings.Repeat("x", 64) + "...: is unknown; the fields are name, ports, names, enabled, free",
		"name: a\nname: b":                 "f:2: name: is given twice (first in line 1); keep one",
		"free: {a: 1, a: 2, no: 3}":        "f:1: free.a: is given twice (first in line 1); keep one\nf:1: free.no: must not be here",
		"free: []":                         "f:1: free: must be a mapping, not a list",
		"name: 5":                          `f:1: name: must be a text, not "5"; put it in quotes if it is meant as one`,
		"name:":                            "f:1: name: must be a text, not nothing; put it in quotes if it is meant as one",
		"name: ' '":                        "f:1: name: must not be empty; leave the field out instead",
		"name: \"a\\nb\"":                  "f:1: name: must be one line, without control characters",
		"name: \"\\u202e\"":                "f:1: name: must be one line, without control characters",
		"name: " + strings.Repeat("a", 21): "f:1: name: has 21 bytes; at most 20 are accepted",
		"names: {}":                        "f:1: names: must be a list, such as [a, b] or lines that begin with -, not a mapping",
		"names: [a, b, c, d]":              "f:1: names: has 4 entries; at most 3 are accepted",
		"names:\n- a\n- bad\n- a":          "f:3: names[1]: \"bad\" must be good\nf:4: names[2]: \"a\" is in the list twice; keep one",
		"ports: [0, 65536, 0x10]":          "f:1: ports[0]: must be a whole number from 1 to 65535, not \"0\"\nf:1: ports[1]: must be a whole number from 1 to 65535, not \"65536\"\nf:1: ports[2]: must be a whole number from 1 to 65535, not \"0x10\"",
		"ports: ['1', 1.0]":                "f:1: ports[0]: must be a whole number from 1 to 65535, not \"1\"\nf:1: ports[1]: must be a whole number from 1 to 65535, not \"1.0\"",
		"enabled: yes":                     `f:1: enabled: must be true or false, not "yes"`,
		"name: &a x\nnames: [*a]":          "f:2: names[0]: must be a text, not an alias (*a); write the value out, aliases are not accepted",
		"names: &a [*a]":                   "f:1: names[0]: must be a text, not an alias (*a); write the value out, aliases are not accepted",
		"a: 1\nb: 2\nc: 3\nd: 4":           "f: more errors follow; put these right first",
	} {
		r := limited()
		read(r, doc)
		err := r.Err("f")
		if err == nil || err.Error() != want && !(len(r.Problems()) == 3 && strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%q: got\n%v\nwant\n%s", doc, err, want)
		}
	}
	if r := limited(); r.Err("f") != nil {
		t.Error("an error without a problem")
	}
}

// What a mapping is called is told with problems from then on, and what is absent is in
// the line of the mapping around it.
func TestNamesAndPlaces(t *testing.T) {
	r := &Reader{}
	m, _ := r.Read([]byte("\n- {name: grafana, enabled: true}")).List(1)[0].Mapping("name", "enabled", "ports")
	m = m.Called(m.Get("name").Text())
	ports := m.Get("ports")
	ports.Bad("are missing, %d of them", 2)
	if ports.Given() || ports.Line() != 2 || ports.List(1) != nil || ports.Texts(1, nil) != nil || ports.Text() != "" || ports.Number(1, 2) != 0 || ports.Bool() != nil || ports.IsEmptyText() {
		t.Errorf("what is absent is something: %+v", ports)
	}
	if want := []Problem{{2, "[0] (grafana).ports", "are missing, 2 of them"}}; !slices.Equal(r.Problems(), want) {
		t.Errorf("got %+v, want %+v", r.Problems(), want)
	}
	if !m.Get("enabled").IsTrue() || m.Len() != 2 {
		t.Errorf("got %+v", m)
	}
}

// Nesting that the YAML library does not follow is an error and no crash.
func TestDepth(t *testing.T) {
	r := &Reader{}
	r.Read([]byte(strings.Repeat("[", 200_000)))
	if err := r.Err("f"); err == nil || !strings.Contains(err.Error(), "exceeded max depth of 10000") {
		t.Errorf("got %v", err)
	}
	r = &Reader{}
	read(r, "name: "+strings.Repeat("[", 5000)+strings.Repeat("]", 5000))
	if err := r.Err("f"); err == nil || !strings.Contains(err.Error(), "not a list") {
		t.Errorf("got %v", err)
	}
}

// Whatever the document holds, it is read or there is a problem, each in one short line.
func FuzzRead(f *testing.F) {
	f.Add("name: a\nports: [1]\nnames: [b]\nenabled: true\nfree: {a: b}")
	f.Add("names: &a [*a]")
	f.Add("<<: {name: a}\n? [b]\n: c")
	f.Add("free: !!set {a}\n---\n")
	f.Add("free: {? {a: b} : c, ? *x : d}")
	f.Fuzz(func(t *testing.T, doc string) {
		r := limited()
		read(r, doc)
		if len(r.Problems()) > 3 {
			t.Errorf("%d problems", len(r.Problems()))
		}
		for _, p := range r.Problems() {
			if p.Text == "" || strings.ContainsAny(p.Field+p.Text, "\n\x1b") || len(p.Field)+len(p.Text) > 1000 {
				t.Errorf("a problem %+v", p)
			}
		}
	})
}
