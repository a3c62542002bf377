package kubernaut

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

// resolve follows a pointer as a client would. It returns whether the value exists and, if
// not, whether the object that lacks it does.
func resolve(t *testing.T, doc []byte, pointer string) (there, missing bool) {
	t.Helper()
	u, err := url.Parse(pointer)
	if err != nil || !strings.HasPrefix(pointer, "#") || u.Path != "" {
		t.Fatalf("%q is no fragment: %v", pointer, err)
	}
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	if u.Fragment == "" {
		return true, false
	}
	tokens := strings.Split(u.Fragment, "/")
	if tokens[0] != "" {
		t.Fatalf("%q has no slash at its beginning", pointer)
	}
	for i, token := range tokens[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch parent := v.(type) {
		case map[string]any:
			child, ok := parent[token]
			if !ok {
				return false, i == len(tokens)-2
			}
			v = child
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n < 0 || n >= len(parent) || strconv.Itoa(n) != token {
				return false, false
			}
			v = parent[n]
		default:
			return false, false
		}
	}
	return true, false
}

// checkPointers checks that each mistake points at a value that exists, or that is
// required.
func checkPointers(t *testing.T, doc []byte) (found []service.Invalid) {
	t.Helper()
	found, err := Validate(doc)
	if err != nil {
		return nil
	}
	for _, f := range found {
		there, missing := resolve(t, doc, f.Pointer.String())
		if required := f.Message == "is required"; there == required || missing != required {
			t.Errorf("%q (%s: %s) points at nothing of\n%.300s", f.Pointer, f.Field, f.Message, doc)
		}
	}
	return found
}

func TestPointersAtExamples(t *testing.T) {
	for doc, want := range map[string]string{
		`1`:           "#",
		`[]`:          "#",
		`{}`:          "#/name #/type #/endpoint",
		`{"tools":1}`: "#/tools",
		`{"tools":[1,{"name":"a","type":"b","endpoint":"http://c"},{"name":"a","type":"b","endpoint":"x"}]}`:                           "#/tools/0 #/tools/2/endpoint #/tools/2/name",
		`{"tools":[],"a/b":1,"c~d":2,"e%f":3,"":4,"ü\"":5}`:                                                                            "#/ #/a~1b #/c~0d #/e%25f #/%C3%BC%22",
		`{"tools":[{"name":"a","type":"b","endpoint":"http://c","config":1,"metadata":[],"enabled":0,"namespace":"_","x/y":{"z":1}}]}`: "#/tools/0/namespace #/tools/0/config #/tools/0/metadata #/tools/0/enabled #/tools/0/x~1y",
		`{"tools":[],"` + strings.Repeat("x", 5000) + `":1}`:                                                                           "#",
	} {
		var got []string
		for _, f := range checkPointers(t, []byte(doc)) {
			got = append(got, f.Pointer.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%.200s\ngot  %s\nwant %s", doc, s, want)
		}
	}
}

// For any document, the pointers of mistakes are right.
func TestPointersResolve(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	names := []string{"name", "type", "endpoint", "namespace", "description", "config", "metadata", "enabled", "tools",
		"", "/", "~", "~1", "a/b~c", "%", "#", "0", "-", " ", "é\"\\", "\u2028", "<&>", "\x00", strings.Repeat("~", 900), strings.Repeat("é", 40)}
	values := []any{nil, true, 1.5, "", "a", "A B", "http://a", "http://u:p@a", []any{}, []any{1}, map[string]any{"a": "b"}, map[string]any{"a": nil}}
	tool := func() any {
		m := map[string]any{"name": "a", "type": "prometheus", "endpoint": "http://a:9090"}
		for range r.IntN(5) {
			if name := names[r.IntN(len(names))]; r.IntN(4) == 0 {
				delete(m, name)
			} else {
				m[name] = values[r.IntN(len(values))]
			}
		}
		return m
	}
	findings := 0
	for range 3000 {
		var doc any = tool()
		if r.IntN(4) > 0 {
			list := []any{}
			for range r.IntN(13) {
				if r.IntN(5) == 0 {
					list = append(list, values[r.IntN(len(values))])
				} else {
					list = append(list, tool())
				}
			}
			m := map[string]any{"tools": list}
			for range r.IntN(3) {
				m[names[r.IntN(len(names))]] = values[r.IntN(len(values))]
			}
			doc = m
		}
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		findings += len(checkPointers(t, b))
	}
	if findings < 1000 {
		t.Errorf("only %d findings: the documents are not wrong enough", findings)
	}
}
