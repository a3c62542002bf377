// Package docs tests the Markdown files of this repository: their links lead somewhere,
// and their commands work.
package docs

import (
	"fmt"
	"iter"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

const root = "../.."

// A document is a Markdown file.
type document struct {
	file    string // path from the root
	source  []byte
	tree    ast.Node
	anchors map[string]bool
}

// documents reads all Markdown files under version control, by their paths.
func documents(t *testing.T) map[string]*document {
	t.Helper()
	all := map[string]*document{}
	for file, source := range tracked(t, "*.md") {
		all[file] = parse(file, source)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Markdown files", len(all))
	}
	return all
}

// tracked yields the files under version control whose names match a pattern: their paths
// from the root, and what they hold.
func tracked(t *testing.T, pattern string) iter.Seq2[string, []byte] {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", pattern)
	cmd.Dir = root
	names, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string, []byte) bool) {
		for file := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
			source, err := os.ReadFile(filepath.Join(root, file))
			if os.IsNotExist(err) {
				continue // deleted, and not committed yet
			}
			if err != nil {
				t.Fatal(err)
			}
			if !yield(file, source) {
				return
			}
		}
	}
}

func parse(file string, source []byte) *document {
	d := &document{file: file, source: source, anchors: map[string]bool{}}
	d.tree = goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	d.walk(func(n ast.Node) {
		if h, ok := n.(*ast.Heading); ok {
			slug := anchor(d.text(h))
			for i, base := 1, slug; d.anchors[slug]; i++ {
				slug = fmt.Sprintf("%s-%d", base, i)
			}
			d.anchors[slug] = true
		}
	})
	return d
}

// walk calls f for each node.
func (d *document) walk(f func(ast.Node)) {
	ast.Walk(d.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) { //nolint:errcheck // f returns none
		if entering {
			f(n)
		}
		return ast.WalkContinue, nil
	})
}

// text returns the text of n as a reader sees it.
func (d *document) text(n ast.Node) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			b.Write(t.Segment.Value(d.source))
		} else {
			b.WriteString(d.text(c))
		}
	}
	return b.String()
}

// anchor returns the fragment by which links on GitHub refer to a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func TestAnchors(t *testing.T) {
	for heading, want := range map[string]string{
		"Where we stand":            "where-we-stand",
		"On `SIGTERM`: 5 s, then …": "on-sigterm-5-s-then-",
		"snake_case, a/b":           "snake_case-ab",
	} {
		if d := parse("x.md", []byte("# "+heading+"\n")); !d.anchors[want] {
			t.Errorf("%q: %v, not %s", heading, d.anchors, want)
		}
	}
	if d := parse("x.md", []byte("# Twice\n# Twice\n")); !d.anchors["twice"] || !d.anchors["twice-1"] {
		t.Errorf("%v", d.anchors)
	}
}

// destinations returns the destinations of all links and pictures in d.
func (d *document) destinations() []string {
	var to []string
	d.walk(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Link:
			to = append(to, string(n.Destination))
		case *ast.Image:
			to = append(to, string(n.Destination))
		}
	})
	return to
}

// broken returns what is wrong with a link of d; empty if it leads to a file, and to a
// heading in it. Links to other sites are not checked.
func (d *document) broken(link string, all map[string]*document) string {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme != "" || u.Host != "":
		return ""
	case path.IsAbs(u.Path):
		return "it begins with /"
	}
	target := d.file
	if u.Path != "" {
		target = path.Join(path.Dir(d.file), u.Path)
		if _, err := os.Stat(filepath.Join(root, target)); err != nil {
			return "there is no such file"
		}
	}
	if u.Fragment == "" {
		return ""
	}
	if other := all[target]; other == nil {
		return "it names a heading of what is no Markdown"
	} else if !other.anchors[u.Fragment] {
		return target + " has no such heading"
	}
	return ""
}

func TestLinks(t *testing.T) {
	all, links := documents(t), 0
	for _, d := range all {
		for _, link := range d.destinations() {
			links++
			if wrong := d.broken(link, all); wrong != "" {
				t.Errorf("%s: the link %s is broken: %s", d.file, link, wrong)
			}
		}
	}
	t.Logf("%d links in %d files", links, len(all))

	d := parse("docs/x.md", []byte("# A\n[a](x.md#a) [b](y.md) [c](#b) [d](../README.md#none) ![e](https://example.com/x.svg)"))
	all["docs/x.md"] = d
	wrong := 0
	for _, link := range d.destinations() {
		if d.broken(link, all) != "" {
			wrong++
		}
	}
	if wrong != 4 { // x.md is no file
		t.Errorf("%d of 4 broken links are found", wrong)
	}
}
