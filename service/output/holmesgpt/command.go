package holmesgpt

import "strings"

// A param is a parameter of a tool, whose value the agent gives.
type param struct{ name, description string }

// A tool is one read of a back end's HTTP API. No tool changes anything.
type tool struct {
	verb        string // its name without the toolset, at most maxVerb letters and underscores
	description string // for the agent, without a period
	// path comes after the base URL; "{name}" in it is a param.
	path string
	// query has the query parameters, as name=value with a fixed value, or as name={param}.
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
func (t *tool) command(base string) string {
	var b strings.Builder
	b.WriteString(curl)
	if len(t.query) > 0 {
		b.WriteString(" --get")
	}
	for _, q := range t.query {
		b.WriteString(" --data-urlencode " + words(q))
	}
	b.WriteString(" " + words(base+t.path))
	return b.String()
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
