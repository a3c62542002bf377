package config

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// usageWidth is the width of the help, in columns.
const usageWidth = 80

// Usage writes the text of --help: what each setting is for, when to change it, its
// default and its environment variable.
func Usage(w io.Writer) {
	var b strings.Builder
	wrap(&b, "", "Commands: serve, the default, whose settings these are; generate, which prints what the service would write (generate --help); explain, which says why a Service is a toolset or not (explain --help); mcp, which serves an agent on this machine (mcp --help); version, or --version; help.")
	b.WriteString("\n")
	wrap(&b, "", "Every setting is a flag, an environment variable and a key in the file that --config names (the flag without its dashes). A flag beats the environment, which beats the file, which beats the default. A variable that is empty counts as not set.")
	for _, g := range newFlags(&Settings{}).groups {
		writeGroup(&b, g.name, g.intro, g.flags)
	}
	_, _ = io.WriteString(w, b.String()) // nothing to do about a closed standard output
}

// writeGroup writes a section; intro may be empty.
func writeGroup(b *strings.Builder, name, intro string, flags []*pflag.Flag) {
	b.WriteString("\n" + name + "\n")
	if intro != "" {
		wrap(b, "  ", intro)
	}
	for _, flag := range flags {
		name, text := pflag.UnquoteUsage(flag)
		b.WriteString("\n  --" + flag.Name)
		if flag.Value.Type() != "bool" {
			b.WriteString(" " + name)
		}
		fmt.Fprintf(b, "\n      [default: %s; environment: %s]\n", shownDefault(flag), envName(flag.Name))
		wrap(b, "      ", text)
	}
}

// shownDefault returns the default of a flag as one would write it.
func shownDefault(flag *pflag.Flag) string {
	switch def := flag.DefValue; {
	case def == "" || def == "[]":
		return "none"
	case flag.Value.Type() == "duration":
		d, _ := time.ParseDuration(def) // pflag has rendered this duration
		return short(d)
	default:
		return def
	}
}

// wrap writes text in lines of at most usageWidth columns that start with indent.
func wrap(b *strings.Builder, indent, text string) {
	width := 0
	for _, word := range strings.Fields(text) {
		switch {
		case width == 0:
			b.WriteString(indent)
			width = len(indent)
		case width+1+len(word) > usageWidth:
			b.WriteString("\n" + indent)
			width = len(indent)
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	b.WriteByte('\n')
}
