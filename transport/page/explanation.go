package page

import (
	"encoding/json"
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// maxSteps bounds each list of an explanation.
const maxSteps = 40

// An explanation says why a Service is listed or not.
type explanation struct {
	Service string
	Verdict badge
	Outcome string
	Steps   []step
	Others  int // rules of which nothing speaks for the Service
	Facts   []known
	Asked   []question
	Changes []change
	Beyond  int  // of all lists
	Close   link // to the page without it
}

type step struct {
	Rule         string
	Outcome      badge
	For, Against []string
	Ports        []port
	Beyond       int
}

type port struct {
	Port, Text string
	Chosen     bool
}

// known is something else that counts.
type known struct{ Name, Text string }

type question struct {
	Request []string // in pieces between which a line may end
	Answer  string
}

func (p port) text() string {
	if p.Chosen {
		return p.Port + ": " + p.Text + " (chosen)"
	}
	return p.Port + ": " + p.Text
}

// others says that there are rules besides those of the steps.
func (e *explanation) others() string {
	if len(e.Steps) > 0 {
		return fmt.Sprintf("Nothing speaks for the other %d rules.", e.Others)
	}
	return fmt.Sprintf("Nothing speaks for any of the %d rules.", e.Others)
}

type change struct{ How, Effect, Caution string }

// explained is the part of the document of GET /api/v1/services/{namespace}/{name}/explain
// that the page shows.
type explained struct {
	Listed     bool   `json:"listed"`
	Outcome    string `json:"outcome"`
	Type       string `json:"type"`
	Toolset    string `json:"toolset"`
	Endpoint   string `json:"endpoint"`
	OtherRules int    `json:"otherRules"`
	Steps      []struct {
		Rule    string   `json:"rule"`
		Outcome string   `json:"outcome"`
		For     []string `json:"for"`
		Against []string `json:"against"`
		Ports   []struct {
			Port   string `json:"port"`
			Text   string `json:"text"`
			Chosen bool   `json:"chosen"`
		} `json:"ports"`
	} `json:"steps"`
	Annotations []struct {
		Key     string `json:"key"`
		Value   string `json:"value"`
		Effect  string `json:"effect"`
		Problem string `json:"problem"`
	} `json:"annotations"`
	Overrides []struct {
		Entry   string   `json:"entry"`
		Changes []string `json:"changes"`
		Effect  string   `json:"effect"`
	} `json:"overrides"`
	Primary *struct {
		Toolset string `json:"toolset"`
		Reason  string `json:"reason"`
	} `json:"primary"`
	Health *struct {
		Healthy bool   `json:"healthy"`
		Reason  string `json:"reason"`
		Checks  string `json:"checks"`
	} `json:"health"`
	Asked []struct {
		Request string `json:"request"`
		Answer  string `json:"answer"`
	} `json:"asked"`
	Change []struct {
		How     string `json:"how"`
		Effect  string `json:"effect"`
		Caution string `json:"caution"`
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
	e := &explanation{Service: q.Explain.String(), Verdict: badge{"none", "dash", "not listed"}, Outcome: format.Cut(d.Outcome, maxURL), Others: d.OtherRules, Close: q.at(q.Number)}
	if d.Listed {
		e.Verdict = badge{"good", "check", "listed"}
		if d.Type != "" {
			e.Verdict.Word += " as " + format.Cut(d.Type, 60)
		}
	}
	for _, s := range first(d.Steps, e) {
		one := step{Rule: format.Cut(s.Rule, maxText), Outcome: outcomeBadge(s.Outcome)}
		var beyond int
		one.For, one.Beyond = cut(s.For, maxEvidence)
		one.Against, beyond = cut(s.Against, maxEvidence)
		one.Beyond += beyond
		for _, p := range s.Ports[:min(len(s.Ports), maxEvidence)] {
			one.Ports = append(one.Ports, port{format.Cut(p.Port, maxLine), format.Cut(p.Text, maxLine), p.Chosen})
		}
		one.Beyond += len(s.Ports) - len(one.Ports)
		e.Steps = append(e.Steps, one)
	}
	for _, a := range first(d.Asked, e) {
		e.Asked = append(e.Asked, question{breakable(format.Cut(a.Request, maxURL)), format.Cut(a.Answer, maxText)})
	}
	for _, c := range first(d.Change, e) {
		e.Changes = append(e.Changes, change{format.Cut(c.How, 2*maxURL), format.Cut(c.Effect, maxURL), format.Cut(c.Caution, maxURL)})
	}
	e.facts(&d)
	return e, nil
}

// facts fills what counts besides the rules.
func (e *explanation) facts(d *explained) {
	tell := func(name string, texts ...string) {
		if text := strings.Join(texts, ""); text != "" {
			e.Facts = append(e.Facts, known{format.Cut(name, maxLine), format.Cut(text, maxURL)})
		}
	}
	for _, a := range first(d.Annotations, e) {
		tell(a.Key+": "+a.Value, a.Effect, a.Problem)
	}
	for _, o := range first(d.Overrides, e) {
		tell("overrides, "+o.Entry, strings.Join(o.Changes, ", ")+": ", o.Effect)
	}
	tell("toolset", d.Toolset)
	tell("endpoint", d.Endpoint)
	if d.Primary != nil {
		tell("primary", d.Primary.Toolset+": ", d.Primary.Reason)
	}
	if d.Health != nil {
		tell("health", d.Health.Reason+" (", d.Health.Checks+")")
	}
}

// first returns the first of a list, and notes in e how many are left out.
func first[T any](list []T, e *explanation) []T {
	n := min(len(list), maxSteps)
	e.Beyond += len(list) - n
	return list[:n]
}

// outcomeBadge returns a badge for the outcome of a step; one that is unknown here is shown
// as it is.
func outcomeBadge(outcome string) badge {
	switch outcome {
	case "recognised":
		return badge{"good", "check", outcome}
	case "rejected":
		return badge{"none", "cross", outcome}
	case "outranked":
		return badge{"info", "dash", outcome}
	}
	return badge{"none", "dash", format.Cut(outcome, 40)}
}
