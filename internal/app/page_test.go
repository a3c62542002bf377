package app

import (
	"errors"
	"slices"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
)

type publicError struct{ error }

func (publicError) Public() string { return "for everybody" }

// The page names an address of an API server only where somebody has chosen one, and no
// cause of a failure that may have one.
func TestWhatThePageTells(t *testing.T) {
	if got := vacant(publicError{errors.New("dial 10.0.0.1")}); got != "for everybody" {
		t.Errorf("%q", got)
	}
	if got := vacant(errors.New("dial 10.0.0.1")); got != "a right is missing; the service's log says which" {
		t.Errorf("%q", got)
	}
	for want, c := range map[string]config.ConfigMap{
		"ns/name": {Namespace: "ns", Name: "name"}, "standard output": {Namespace: "ns", Name: "name", Write: "-"}, "out.yaml": {Write: "out.yaml"},
	} {
		if got := fileOrConfigMap(&c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	now := time.Now()
	for want, u := range map[string]catalogue.Unlisted{
		"not asked yet":             {},
		"its answers prove nothing": {Identity: service.Identity{Verdict: service.Unverified, At: now}},
		"the reason":                {Identity: service.Identity{Verdict: service.Unverified, At: now, Evidence: []string{"the reason", "GET / answered 200"}}},
		"the last":                  {Identity: service.Identity{Verdict: service.Refuted, At: now, Evidence: []string{"the first", "the last"}}},
	} {
		u.Question = service.Question{URLs: []string{"http://a", "https://a"}, Hints: []string{"loki", "mimir"}}
		got := candidateShown(&u)
		if got.Note != want || got.URL != "http://a" || !slices.Equal(got.Types, u.Question.Hints) || got.Refuted != (want == "the last") {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}

// What was written last is what the page shows, and a conflict is no failure.
func TestTheLastWriteIsShown(t *testing.T) {
	a := &App{settings: &config.Settings{}, writer: struct{ writer }{}}
	if got := a.configMapShown(); got.Outcome != "" || got.Failed {
		t.Errorf("before any: %+v", got)
	}
	for outcome, failed := range map[string]bool{"success": false, "unchanged": false, "conflict": false, "forbidden": true, "invalid": true, "namespace_missing": true, "error": true} {
		a.shown.written.Store(&written{outcome, time.Now()})
		if got := a.configMapShown(); got.Outcome != outcome || got.Failed != failed {
			t.Errorf("%s: %+v", outcome, got)
		}
	}
	a.writer = nil
	if got := a.configMapShown(); got.Name != "" {
		t.Errorf("without a writer: %+v", got)
	}
}
