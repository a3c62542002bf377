package jsonobject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	for doc, want := range map[string]string{
		`{}`:      ``,
		` { } `:   ``,
		`{"a":1}`: `a=1 `,
		"{\n \"a\" : [1, {\"b\":\"]}\"}] , \"a\":\"x\\\"y\" }": `a=[1, {"b":"]}"}] a="x\"y" `,
		`{"\u0061":null,"A":true,"":-1.5e3}`:                   `a=null A=true =-1.5e3 `,
		`[1,2]`:                                                ``,
		`"{"`:                                                  ``,
		`7`:                                                    ``,
	} {
		var got strings.Builder
		for name, value := range Members([]byte(doc)) {
			fmt.Fprintf(&got, "%s=%s ", name, value)
		}
		if got.String() != want {
			t.Errorf("%s: %q, want %q", doc, got.String(), want)
		}
	}
	var got []string
	for e := range Elements([]byte(` [ 1 ,[2,3], "," , {"a":[]} ] `)) {
		got = append(got, string(e))
	}
	if s := fmt.Sprintf("%q", got); s != `["1" "[2,3]" "\",\"" "{\"a\":[]}"]` {
		t.Error(s)
	}
	for range Members([]byte(`{"a":1,"b":2}`)) {
		break
	}
}

func TestValid(t *testing.T) {
	for doc, want := range map[string]bool{
		`{"a":[[1]]}`: true, `{"a":[[[1]]]}`: false, `"[[[[["`: true, `"\"[[[["`: true, `{"a":1}}`: false, `{"a":1} {}`: false,
		"\"\xff\"": false, ``: false, `"`: false, `"\`: false,
	} {
		if Valid([]byte(doc), 3) != want {
			t.Errorf("%q: %v", doc, !want)
		}
	}
	if Valid(bytes.Repeat([]byte("["), 1<<20), 64) {
		t.Error("a million brackets")
	}
}

// Members and elements are what encoding/json finds, for any document.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[{}," "],"a":{"c":null}}`, `[1,"]",[2],{}]`, `"x"`, `{"\ud800":"\u0000"}`, `{"a" : "\\" }`, `[ ]`, "7"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !Valid(doc, 64) {
			return
		}
		if text, ok := Text(doc); ok {
			var want string
			if err := json.Unmarshal(doc, &want); err != nil || want != text {
				t.Fatalf("%q: %q, want %q %v", doc, text, want, err)
			}
		}
		var members map[string]json.RawMessage
		_ = json.Unmarshal(doc, &members)
		found := map[string][]byte{}
		for name, value := range Members(doc) {
			found[string(name)] = value
		}
		if len(found) != len(members) {
			t.Fatalf("%q: %q, want %q", doc, found, members)
		}
		for name, want := range members {
			if !bytes.Equal(found[name], want) {
				t.Fatalf("%q: %s is %q, want %q", doc, name, found[name], want)
			}
		}
		var elements []json.RawMessage
		_ = json.Unmarshal(doc, &elements)
		i := 0
		for e := range Elements(doc) {
			if !bytes.Equal(e, elements[i]) {
				t.Fatalf("%q: element %d is %q, want %q", doc, i, e, elements[i])
			}
			i++
		}
		if i != len(elements) {
			t.Fatalf("%q: %d elements, want %d", doc, i, len(elements))
		}
		var compact bytes.Buffer
		_ = json.Compact(&compact, doc)
		var back string
		if err := json.Unmarshal(AppendText(nil, compact.Bytes()), &back); err != nil || back != compact.String() && !strings.Contains(back, "\uFFFD") {
			t.Fatalf("%q: %q %v", doc, back, err)
		}
	})
}
