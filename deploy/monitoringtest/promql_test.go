package monitoringtest

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// A selector is a place in an expression that selects series: a metric name, and matchers
// without the braces.
type selector struct{ metric, matchers string }

func (s selector) String() string {
	if s.matchers == "" {
		return s.metric
	}
	return s.metric + "{" + s.matchers + "}"
}

// token matches one token of PromQL, as far as selectors are concerned: a comment,
// a string, a range or subquery, a group of matchers, a number, a word, anything
// else.
var token = regexp.MustCompile(`^(?:#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\[[^\]]*\]|\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\}|[0-9][0-9a-zA-Z_.]*|[a-zA-Z_:][a-zA-Z0-9_:]*|\s+|.)`)

var word = regexp.MustCompile(`^[a-zA-Z_:]`)

// parse returns the selectors of an expression, and the labels by which it groups or
// joins. Whether the expression is valid is left to Prometheus.
func parse(expr string) (selectors []selector, labels []string) {
	var tokens []string
	for len(expr) > 0 {
		tok := token.FindString(expr)
		expr = expr[len(tok):]
		if strings.TrimSpace(tok) != "" && tok[0] != '#' {
			tokens = append(tokens, tok)
		}
	}
	next := func(i int) string {
		if i+1 < len(tokens) {
			return tokens[i+1]
		}
		return ""
	}
	for i := 0; i < len(tokens); i++ {
		tok := tokens[i]
		if !word.MatchString(tok) {
			continue
		}
		switch strings.ToLower(tok) {
		case "by", "without", "on", "ignoring", "group_left", "group_right":
			if next(i) == "(" {
				for i += 2; i < len(tokens) && tokens[i] != ")"; i++ {
					if tokens[i] != "," {
						labels = append(labels, tokens[i])
					}
				}
			}
		case "and", "or", "unless", "bool", "offset", "inf", "nan":
		default:
			switch following := next(i); {
			case following == "(" || following == "by" || following == "without":
				// a function or an aggregation
			case strings.HasPrefix(following, "{"):
				selectors = append(selectors, selector{tok, strings.TrimSpace(following[1 : len(following)-1])})
			default:
				selectors = append(selectors, selector{tok, ""})
			}
		}
	}
	return selectors, labels
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		expr      string
		selectors []selector
		labels    []string
	}{
		{"up", []selector{{"up", ""}}, nil},
		{`absent(a:b_c) # not d`, []selector{{"a:b_c", ""}}, nil},
		{`sum by (x, y) (rate(a{b="}",c=~"d|e[{]"}[5m])) / 2e3 > 0.1`, []selector{{"a", `b="}",c=~"d|e[{]"`}}, []string{"x", "y"}},
		{`max(a) by (z) and on (x) b == bool 1 unless c[1h:5s]`, []selector{{"a", ""}, {"b", ""}, {"c", ""}}, []string{"z", "x"}},
		{`a * on(x) group_left(y) b{} offset 5m or Inf`, []selector{{"a", ""}, {"b", ""}}, []string{"x", "y"}},
	} {
		selectors, labels := parse(c.expr)
		if !reflect.DeepEqual(selectors, c.selectors) || !reflect.DeepEqual(labels, c.labels) {
			t.Errorf("%s:\n%q %q", c.expr, selectors, labels)
		}
	}
}
