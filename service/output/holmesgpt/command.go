package holmesgpt

import "strings"

// A param is a value that the agent gives a tool.
type param struct{ name, description string }

// A tool is one read of a back end's HTTP API. None changes anything.
type tool struct {
	verb        string // what it does, at most maxVerb letters and underscores
	description string // what it does, for the agent, without a period
	// path is what follows the base URL; "{name}" in it is a param.
	path string
	// query is the query's parameters, as name=value with a fixed value, or
	// name={param}.
	query  []string
	params []param
}

// maxVerb leaves the names of tools room for where they belong.
const maxVerb = 24

// curl is how each command begins: quiet but for errors, an answer that is an
// error makes the tool fail, brackets mean nothing, and there is an end to
// waiting. Credentials come from the .netrc of whoever runs HolmesGPT, which ties
// them to a host; none is ever written here.
const curl = "curl -sS --fail-with-body --globoff --max-time 30 --netrc-optional"

// command returns the shell line for a tool of the back end at base, which is a
// checked URL. Every word is either fixed, in single quotes, or a placeholder,
// which HolmesGPT replaces by one word quoted for the shell, or by nothing if it
// is empty. A placeholder always continues a word in quotes, so that its value
// can't be an option.
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

// words writes s as one word: what is in single braces as a placeholder, the rest
// in single quotes. s has no quotes.
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
