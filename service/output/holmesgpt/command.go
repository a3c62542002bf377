package holmesgpt

import (
	"slices"
	"strings"
)

// A param is a parameter of a tool, whose value the agent gives.
type param struct{ name, description string }

// A tool is one read of a back end's HTTP API. No tool changes anything.
type tool struct {
	verb        string // its name without the toolset, at most maxVerb letters and underscores
	description string // for the agent, without a period
	// path comes after the base URL; "{name}" in it is a param.
	path string
	// query has the query parameters, as name=value with a fixed value, as name={param}, or
	// as name={param?} for one that is left out if the agent does not give it.
	query  []string
	params []param
}

// maxVerb leaves room for the namespace and name in the names of tools.
const maxVerb = 24

// curl begins each command. It prints only errors besides the answer, fails if the answer
// is an error, does not expand brackets, and does not wait for ever. Credentials come from
// the .netrc of the user who runs HolmesGPT, which has them by host; none is ever written
// here.
const curl = "curl -sS --fail-with-body --globoff --max-time 30 --netrc-optional"

// command returns the shell command of a tool for the back end at base, a checked URL.
// Every word is made of fixed text in single quotes and of placeholders. HolmesGPT replaces
// a placeholder by one word quoted for the shell, or by nothing if the value is empty. A
// placeholder always follows text in quotes, so that a value can't become an option.
// options are further ones, each with a space in front.
func (t *tool) command(base, options string) string {
	var b strings.Builder
	b.WriteString(curl + options)
	if len(t.query) > 0 {
		b.WriteString(" --get")
	}
	for _, q := range t.query {
		if name := optional(q); name != "" {
			// A model that must give all parameters gives null for one that it leaves out,
			// which arrives as None.
			b.WriteString("{% if " + name + " and " + name + " != 'None' %} --data-urlencode " + words(strings.Replace(q, "?}", "}", 1)) + "{% endif %}")
		} else {
			b.WriteString(" --data-urlencode " + words(q))
		}
	}
	b.WriteString(" " + words(base+t.path))
	return b.String()
}

// optional returns the name of the parameter in name={param?}; empty for other forms.
func optional(q string) string {
	_, value, _ := strings.Cut(q, "={")
	name, found := strings.CutSuffix(value, "?}")
	if !found {
		return ""
	}
	return name
}

// required reports whether the agent must give a parameter.
func (t *tool) required(name string) bool {
	return !slices.ContainsFunc(t.query, func(q string) bool { return optional(q) == name })
}

// request returns the tool as a request below the base URL, for an agent with a general
// HTTP client: "GET /api/traces?service={service}".
func (t *tool) request() string {
	s := "GET " + t.path
	if len(t.query) > 0 {
		s += "?" + strings.ReplaceAll(strings.Join(t.query, "&"), "?}", "}")
	}
	return s
}

// alive returns a command that fails if nothing answers at base, a checked URL. Any answer
// will do, also one that asks for credentials.
func alive(base, options string) string {
	return "curl -sS -o /dev/null --max-time 5" + options + " " + words(base)
}

// words returns s as one word: names in braces as placeholders, the rest in single quotes.
// s must have no quotes.
func words(s string) string {
	var b strings.Builder
	for s != "" {
		fixed, rest, found := strings.Cut(s, "{")
		if fixed != "" {
			b.WriteString("'" + fixed + "'")
		}
		if !found {
			break
		}
		var name string
		name, s, _ = strings.Cut(rest, "}")
		b.WriteString("{{ " + name + " }}")
	}
	return b.String()
}
