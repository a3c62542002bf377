package kubernaut

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

func TestValidate(t *testing.T) {
	const good = `{"name":"p","type":"prometheus","endpoint":"http://p.ns.svc:9090"}`
	for doc, want := range map[string]string{
		good:                       "",
		`{"tools":[` + good + `]}`: "",
		`{"tools":[]}`:             "",
		`[]`:                       ":must be an object",
		`null`:                     ":must be an object",
		`{}`:                       "name:is required|type:is required|endpoint:is required",
		`{"tools":{}}`:             "tools:must be an array",
		`{"tools":null}`:           "tools:must be an array",
		`{"tools":[1]}`:            "tools[0]:must be an object",
		`{"tools":[],"x":1}`:       "x:is unknown",
		`{"name":"P_","type":"a b","endpoint":"/x"}`:                                     "name:must be lower|type:must be lower|endpoint:must be an absolute URL",
		`{"name":1,"type":null,"endpoint":""}`:                                           "name:must be a string|type:must be a string|endpoint:must not be empty",
		`{"tools":[` + good + `,` + good + `]}`:                                          "tools[1].name:is used by tools[0].name",
		`{"name":"p","type":"t","endpoint":"http://u:secret@h"}`:                         "endpoint:must not carry",
		`{"name":"p","type":"t","endpoint":"file:///etc/passwd"}`:                        "endpoint:must be an absolute URL",
		`{"name":"p","type":"t","endpoint":"ftp://h"}`:                                   "endpoint:must have the scheme",
		`{"name":"p","type":"t","endpoint":"http://h","enabled":null,"config":[],"z":1}`: "config:must be an object|enabled:must be true|z:is unknown",
		`{"name":"p","type":"t","endpoint":"http://h","metadata":{"a":"b"}}`:             "",
		`{"tools":[{"name":"p","type":"t","endpoint":"http://h","metadata":{}}]}`:        "",
		`{"name":"p","type":"t","endpoint":"http://h","metadata":{"a":1}}`:               "metadata:must be an object whose values are strings",
		`{"name":"p","type":"t","endpoint":"http://h","metadata":{"a":null}}`:            "metadata:must be an object whose values are strings",
		`{"tools":[{"name":"p","type":"t","endpoint":"http://h","metadata":"x"}]}`:       "tools[0].metadata:must be an object whose values are strings",
	} {
		found, err := Validate([]byte(doc))
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		var got []string
		for _, f := range found {
			got = append(got, f.Field+":"+f.Message)
		}
		parts := strings.Split(want, "|")
		if want == "" {
			parts = nil
		}
		if len(got) != len(parts) {
			t.Errorf("%s: found %q, want %q", doc, got, parts)
			continue
		}
		for i := range parts {
			if !strings.HasPrefix(got[i], parts[i]) {
				t.Errorf("%s: found %q, want %q", doc, got[i], parts[i])
			}
		}
	}
	for _, doc := range []string{"", " ", "{", "{}{}", "{} x", "nope", "{'a':1}", `{"a":"` + "\xff" + `"}`, strings.Repeat("[", 1000)} {
		if _, err := Validate([]byte(doc)); !errors.Is(err, ErrNotJSON) {
			t.Errorf("%.20q: %v", doc, err)
		}
	}
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf(`{"name":"%d_"}`, i))
	}
	if found, _ := Validate([]byte(`{"tools":[` + strings.Join(many, ",") + `]}`)); len(found) != service.MaxInvalid {
		t.Errorf("%d findings", len(found))
	}
}

func FuzzValidate(f *testing.F) {
	f.Add([]byte(`{"tools":[{"name":"p","type":"t","endpoint":"http://h","config":{"a":[1,{}]}}]}`))
	f.Add([]byte(`{"name":"p","name":"q"}`))
	f.Add([]byte("[[[[[]]]]]"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		found, err := Validate(doc)
		if err == nil && !json.Valid(doc) {
			t.Fatalf("accepted what is not JSON: %q", doc)
		}
		if len(found) > service.MaxInvalid {
			t.Fatalf("%d findings", len(found))
		}
		for _, v := range found {
			if len(v.Field) > 200 || len(v.Message) > 600 {
				t.Fatalf("a finding without bound: %+v", v)
			}
			if there, missing := resolve(t, doc, v.Pointer.String()); !there && !missing {
				t.Fatalf("%q points at nothing", v.Pointer)
			}
		}
	})
}
