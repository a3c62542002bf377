package record

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// Equal texts are one text afterwards, and each request says what it said before.
func TestTextsAreShared(t *testing.T) {
	t.Parallel()
	var texts Texts
	one := func(path string) Request {
		r := Request{Class: Class(strings.Clone("new")), Protocol: Protocol(strings.Clone("h2")), Outcome: Outcome(strings.Clone("ok")), Method: strings.Clone("GET"), Path: strings.Clone(path), Pod: strings.Clone("a-pod")}
		texts.Share(&r)
		if r.Class != New || r.Protocol != HTTP2 || r.Outcome != OK || r.Method != "GET" || r.Path != path || r.Pod != "a-pod" {
			t.Errorf("%+v", r)
		}
		return r
	}
	a, b := one("/x"), one("/x")
	for name, two := range map[string][2]string{
		"class": {string(a.Class), string(b.Class)}, "protocol": {string(a.Protocol), string(b.Protocol)}, "outcome": {string(a.Outcome), string(b.Outcome)},
		"method": {a.Method, b.Method}, "path": {a.Path, b.Path}, "pod": {a.Pod, b.Pod},
	} {
		if unsafe.StringData(two[0]) != unsafe.StringData(two[1]) {
			t.Errorf("the %s is there twice", name)
		}
	}
	for i := range 2 * maxTexts {
		one(fmt.Sprint("/", i))
	}
	if len(texts.known) > maxTexts {
		t.Errorf("%d texts are remembered", len(texts.known))
	}
}
