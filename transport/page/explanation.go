package page

import (
	"encoding/json"
	"fmt"

	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/service"
)

// maxSteps bounds the steps, questions and changes of an explanation, each.
const maxSteps = 60

// An explanation says why a Service is listed or not.
type explanation struct {
	Service string
	Verdict badge
	Steps   []step
	Asked   []question
	Changes []change
	Beyond  int    // of all three
	Close   string // link to the page without it
}

type step struct {
	Rule         string
	Outcome      badge
	For, Against []string
	Beyond       int
}

type question struct{ Request, Answer string }

type change struct {
	Annotation, Value, Effect string
	Command                   string // that sets the annotation; empty if it could not be copied safely
}

// explained is the part of the document of GET /api/v1/services/{namespace}/{name}/explain
// that the page shows.
type explained struct {
	Listed bool   `json:"listed"`
	Type   string `json:"type"`
	Steps  []struct {
		Rule    string   `json:"rule"`
		Outcome string   `json:"outcome"`
		For     []string `json:"for"`
		Against []string `json:"against"`
	} `json:"steps"`
	Asked []struct {
		Request string `json:"request"`
		Answer  string `json:"answer"`
	} `json:"asked"`
	Change []struct {
		Annotation string `json:"annotation"`
		Value      string `json:"value"`
		Effect     string `json:"effect"`
	} `json:"change"`
}

// explain returns the explanation in a document, which is any value that encoding/json
// takes.
func explain(q *Query, document any) (*explanation, error) {
	var d explained
	b, err := json.Marshal(document)
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		return nil, fmt.Errorf("the explanation of %s: %w", q.Explain, err)
	}
	e := &explanation{Service: q.Explain.String(), Verdict: badge{"none", "dash", "not listed"}, Close: q.at(q.Number)}
	if d.Listed {
		e.Verdict = badge{"good", "check", "listed"}
		if d.Type != "" {
			e.Verdict.Word += " as " + format.Cut(d.Type, 60)
		}
	}
	for i, s := range d.Steps {
		if i == maxSteps {
			e.Beyond += len(d.Steps) - maxSteps
			break
		}
		one := step{Rule: format.Cut(s.Rule, maxText), Outcome: outcomeBadge(s.Outcome)}
		var beyond int
		one.For, one.Beyond = cut(s.For, maxEvidence)
		one.Against, beyond = cut(s.Against, maxEvidence)
		one.Beyond += beyond
		e.Steps = append(e.Steps, one)
	}
	for i, a := range d.Asked {
		if i == maxSteps {
			e.Beyond += len(d.Asked) - maxSteps
			break
		}
		e.Asked = append(e.Asked, question{format.Cut(a.Request, maxURL), format.Cut(a.Answer, maxText)})
	}
	for i, c := range d.Change {
		if i == maxSteps {
			e.Beyond += len(d.Change) - maxSteps
			break
		}
		one := change{Annotation: format.Cut(c.Annotation, maxText), Value: format.Cut(c.Value, maxText), Effect: format.Cut(c.Effect, maxText)}
		if isPlain(c.Annotation) && isPlain(c.Value) {
			one.Command = command(q.Explain, c.Annotation, c.Value)
		}
		e.Changes = append(e.Changes, one)
	}
	return e, nil
}

func command(of service.Key, annotation, value string) string {
	return fmt.Sprintf("kubectl -n %s annotate service %s %s=%s", of.Namespace, of.Name, annotation, value)
}

// isPlain reports whether a shell takes s as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '/', c == ':':
		default:
			return false
		}
	}
	return s != "" && s[0] != '-' && len(s) <= maxText
}

// outcomeBadge returns a badge for the outcome of a step; one that is unknown here is shown
// as it is.
func outcomeBadge(outcome string) badge {
	b := badge{"none", "dash", format.Cut(outcome, 40)}
	switch outcome {
	case "matched", "matches", "listed", "chosen", "verified", "applied", "yes":
		b.Class, b.Icon = "good", "check"
	case "refuted", "refused", "excluded", "failed", "invalid":
		b.Class, b.Icon = "bad", "cross"
	case "candidate", "weak", "asked":
		b.Class, b.Icon = "info", "question"
	}
	return b
}
