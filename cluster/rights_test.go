package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestFailureLog(t *testing.T) {
	denied := &MissingRight{Verb: VerbWatch, Resource: "services"}
	other := errors.New("it rains")
	var tr FailureLog
	if tr.Works(VerbList) || tr.Works(VerbWatch) {
		t.Error("an end without a failure")
	}
	if !tr.Note(VerbWatch, denied) || tr.Note(VerbWatch, denied) {
		t.Error("it is to be told once")
	}
	if tr.Works(VerbList) || tr.Denied(VerbWatch) != denied || tr.Denied(VerbList) != nil {
		t.Errorf("a list ended the failure of the watch: %+v", tr)
	}
	if since := tr.Since; !tr.Note(VerbList, other) || tr.Since.Equal(since) || tr.Right != nil {
		t.Errorf("another failure is new: %+v", tr)
	}
	tr.told = tr.told.Add(-toldEvery)
	if !tr.Note(VerbList, other) {
		t.Error("what lasts is told again")
	}
	if !tr.Works(VerbList) || tr != (FailureLog{}) {
		t.Errorf("after the end: %+v", tr)
	}
	tr.Note(VerbList, other)
	if !tr.Works(VerbWatch) {
		t.Error("a watch that works is the end of any failure")
	}
}

// Whatever a server sends, the sentence for clients is one printable line that contains
// nothing of it but the right.
func FuzzMissingRight(f *testing.F) {
	for _, s := range []string{
		`User "system:serviceaccount:n:toolset" cannot list resource "services" in API group "" at the cluster scope`,
		`services is forbidden: User "a\"b\x1b" cannot watch resource "services" in API group "apps" in the namespace "n": RBAC: why`,
		`User "` + strings.Repeat("x", 2000) + `" cannot get resource "pods/log" in API group "" in the namespace "n"`,
		`exceeded quota`, "",
	} {
		f.Add(s)
	}
	c := Call{Verbs: VerbList, Resource: "services", Host: "https://192.0.2.1:6443"}
	f.Fuzz(func(t *testing.T, message string) {
		err := c.Explain(apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "", errors.New(message)))
		right, ok := errors.AsType[*MissingRight](err)
		if !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%q becomes %v, of no kind", message, err)
		}
		if !ok {
			return
		}
		if right.Verb == "" || right.Resource == "" || len(right.Account) > MaxText+3 {
			t.Errorf("%q becomes %+v", message, right)
		}
		for _, text := range []string{right.Public(), err.Error()} {
			if slices.ContainsFunc([]rune(text), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q becomes %q", message, text)
			}
		}
	})
}
