package tools

import (
	"context"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/explain"
)

// An explanation is the answer of explain_service: what an agent needs of an
// [explain.Document], which is for people.
type explanation struct {
	Listed  bool             `json:"listed"`
	Outcome string           `json:"outcome"`
	Type    string           `json:"type,omitempty"`
	Toolset string           `json:"toolset,omitempty"`
	Rules   []rule           `json:"rules,omitempty"`
	Wrong   []string         `json:"annotationsWithoutEffect,omitempty"`
	Primary *explain.Primary `json:"primary,omitempty"`
	Asked   []explain.Asked  `json:"asked,omitempty"`
	Change  []change         `json:"change,omitempty"`
	warning
}

type rule struct {
	Rule    string   `json:"rule"`
	Outcome string   `json:"outcome"`
	For     []string `json:"for,omitempty"`
	Against []string `json:"against,omitempty"`
}

type change struct {
	How    string `json:"how"`
	Effect string `json:"effect"`
}

// mostExplained is the number of members of each list in an explanation.
const mostExplained = 5

func (v *View) explain(ctx context.Context, object []byte) (any, error) {
	a := read(object)
	key := service.Key{
		Namespace: a.required("namespace", "that of the Service"),
		Name:      a.required("name", "that of the Service"),
	}
	if err := a.end(); err != nil {
		return nil, err
	}
	if v.Explain == nil {
		return nil, refuse("There is no cluster whose Services could be explained.")
	}
	d, err := v.Explain(ctx, key)
	if err != nil {
		return nil, err
	}
	out := &explanation{Listed: d.Listed, Outcome: d.Outcome, Type: d.Type, Toolset: d.Toolset, Primary: d.Primary, warning: v.warning()}
	for _, s := range first(d.Steps) {
		out.Rules = append(out.Rules, rule{s.Rule, string(s.Outcome), first(s.For), first(s.Against)})
	}
	for _, n := range d.Annotations {
		if n.Problem != "" && len(out.Wrong) < mostExplained {
			out.Wrong = append(out.Wrong, cut(n.Key, 100)+": it "+n.Problem)
		}
	}
	out.Asked = first(d.Asked)
	for _, c := range first(d.Change) {
		how := c.How
		if c.Override != "" {
			how = "in the administrator's overrides (the key overrides.yaml of the service's ConfigMap), below toolsets: " + c.Override
		}
		out.Change = append(out.Change, change{how, strings.TrimSpace(c.Effect + " " + c.Caution)})
	}
	return out, nil
}

func first[T any](list []T) []T { return list[:min(len(list), mostExplained)] }
