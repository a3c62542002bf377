package explain

import (
	"fmt"
	"strings"
	"unicode"

	"kubernaut.io/dynamic-toolset/service/detect"
)

// textWidth is the width of the text, in columns. Commands are never broken.
const textWidth = 96

// Text returns the explanation as plain text for a terminal, without control characters.
func (d *Document) Text() []byte {
	w := &textWriter{}
	w.line("", d.Service.String())
	w.line("  ", d.Outcome)
	d.textOfRules(w)
	if len(d.Annotations) > 0 {
		w.section("Annotations")
		for _, a := range d.Annotations {
			what := fmt.Sprintf("%s=%q", a.Key, a.Value)
			if a.Label {
				what = "label " + what
			}
			if a.Problem != "" {
				w.line("  ", what+" is of no effect: it "+sentence(a.Problem))
			} else {
				w.line("  ", what+" "+a.Effect+".")
			}
		}
	}
	if len(d.Overrides) > 0 {
		w.section("Overrides")
		for _, o := range d.Overrides {
			w.line("  ", o.Entry+" ("+strings.Join(o.Changes, ", ")+") "+o.Effect+".")
		}
	}
	if d.Listed {
		d.textOfToolset(w)
	}
	if len(d.Asked) > 0 {
		w.section("Asked who it is: " + strings.TrimSpace(strings.Join([]string{string(d.Identity.Verdict), d.Identity.Product, d.Identity.Version}, " ")))
		for _, a := range d.Asked {
			w.line("  ", a.Request+": "+a.Answer)
		}
	}
	if len(d.Change) > 0 {
		w.section("What would change this")
		for _, c := range d.Change {
			if c.Override != "" {
				w.raw("  in the overrides (docs/outputs.md), below toolsets:")
				w.raw("    - " + c.Override)
			} else {
				w.raw("  " + c.How)
			}
			w.line("      ", strings.TrimSpace(c.Effect+" "+c.Caution))
		}
	}
	return []byte(w.String())
}

func (d *Document) textOfRules(w *textWriter) {
	if len(d.Steps)+d.OtherRules == 0 {
		return
	}
	w.section("Rules, the most likely first")
	for _, s := range d.Steps {
		w.raw("  " + s.Rule + ": " + string(s.Outcome))
		for _, t := range s.For {
			w.hang("    for      ", t)
		}
		for _, t := range s.Against {
			w.hang("    against  ", t)
		}
		for _, p := range s.Ports {
			chosen := ""
			if p.Chosen && s.Outcome == detect.Recognised {
				chosen = " (chosen)"
			} else if p.Chosen {
				chosen = " (the best of them)"
			}
			w.hang("    port     ", p.Port+" "+p.Text+chosen)
		}
	}
	switch {
	case len(d.Steps) == 0:
		w.line("  ", fmt.Sprintf("Nothing speaks for any of the %d rules.", d.OtherRules))
	case d.OtherRules > 0:
		w.line("  ", fmt.Sprintf("Nothing speaks for the other %d rules.", d.OtherRules))
	}
}

func (d *Document) textOfToolset(w *textWriter) {
	w.section("Toolset " + d.Toolset)
	if d.AliasOf == nil && len(d.Aliases) > 0 {
		w.hang("  aliases   ", strings.Join(d.Aliases, ", "))
	}
	if p := d.Primary; p.Is {
		w.hang("  primary   ", "of the type "+d.Type+": "+p.Reason)
	} else {
		w.hang("  primary   ", "of the type "+d.Type+" is "+p.Toolset+": "+p.Reason)
	}
	health := "unhealthy: "
	switch {
	case d.Health.CheckedAt == nil:
		health = ""
	case d.Health.Healthy:
		health = "healthy: "
	}
	health += d.Health.Reason
	if d.Health.CheckedAt != nil {
		health += ", at " + *d.Health.CheckedAt
	}
	w.hang("  health    ", health+" ("+d.Health.Checks+")")
}

// sentence ends s with a full stop, unless it ends already.
func sentence(s string) string {
	if strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// A textWriter writes wrapped lines. What is not printable becomes a space.
type textWriter struct{ strings.Builder }

func (w *textWriter) section(title string) { w.raw(""); w.raw(title) }

// raw writes a line that is not broken.
func (w *textWriter) raw(s string) {
	w.WriteString(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
	w.WriteByte('\n')
}

// line writes s in lines that begin with indent.
func (w *textWriter) line(indent, s string) { w.wrap(indent, indent, s) }

// hang writes s behind label, and further lines below s.
func (w *textWriter) hang(label, s string) { w.wrap(label, strings.Repeat(" ", len(label)), s) }

func (w *textWriter) wrap(first, rest, s string) {
	line, empty := first, true
	for _, word := range strings.Fields(s) {
		switch {
		case empty:
			line, empty = line+word, false
		case len(line)+1+len(word) > textWidth:
			w.raw(line)
			line = rest + word
		default:
			line += " " + word
		}
	}
	w.raw(line)
}
