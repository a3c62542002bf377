package cause

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every cause is in the documentation, and the documentation has no others.
func TestCausesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/verification/your-own.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Causes")
	section, _, _ = strings.Cut(section, "\n## ")
	file, err := parser.ParseFile(token.NewFileSet(), "cause.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			id, err := strconv.Unquote(s.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if n++; !strings.Contains(section, "`"+id+"`") {
				t.Errorf("the cause %s is not in the documentation", id)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d causes were found in cause.go", n)
	}
}
