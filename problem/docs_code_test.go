package problem_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// serverCode matches the Go files of the code that answers requests.
var serverCode = []string{"../transport/*.go", "../transport/api/*.go", "../transport/middleware/*.go", "../transport/internal/*/*.go"}

// parse returns the syntax trees of the Go files that match patterns, without
// tests.
func parse(t *testing.T, patterns ...string) []*ast.File {
	t.Helper()
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no Go files at %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	var trees []*ast.File
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
	}
	return trees
}

// literals returns the values of the string literals below n.
func literals(n ast.Node) (all []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				all = append(all, s)
			}
		}
		return true
	})
	return all
}

// typeNames maps the variables of types.go to the names of their types, such
// as "NotFound" to "not-found".
func typeNames(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, tree := range parse(t, "types.go") {
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
				return true
			}
			if ref, ok := spec.Values[0].(*ast.UnaryExpr); ok && ref.Op == token.AND {
				if s := literals(ref); len(s) > 0 {
					names[spec.Names[0].Name] = s[0]
				}
			}
			return true
		})
	}
	return names
}

// details reads the code and returns, for the name of each type that the server sends,
// the texts that its details are made of.
func details(t *testing.T) map[string][]string {
	t.Helper()
	names, sent := typeNames(t), map[string][]string{}
	trees := parse(t, serverCode...)
	constants := map[string][]string{} // by package and name
	for _, tree := range trees {
		for _, d := range tree.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			for _, s := range decl.Specs {
				if spec := s.(*ast.ValueSpec); len(spec.Names) == 1 && len(spec.Values) == 1 {
					constants[tree.Name.Name+"."+spec.Names[0].Name] = literals(spec.Values[0])
				}
			}
		}
	}
	// A type stands before its text: in a call of the method problem, and in a literal of a
	// type whose fields are both, which is answered elsewhere.
	for _, tree := range trees {
		ast.Inspect(tree, func(n ast.Node) bool {
			var typ, text ast.Expr
			switch n := n.(type) {
			case *ast.CallExpr:
				if method, ok := n.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "problem" && len(n.Args) >= 3 {
					typ, text = n.Args[1], n.Args[2]
				}
			case *ast.CompositeLit:
				if len(n.Elts) == 2 {
					typ, text = n.Elts[0], n.Elts[1]
				}
			}
			of, ok := typ.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := of.X.(*ast.Ident); !ok || pkg.Name != "problem" {
				return true
			}
			name, known := names[of.Sel.Name]
			if !known {
				t.Errorf("the server sends problem.%s, which types.go does not have", of.Sel.Name)
			}
			sent[name] = append(sent[name], literals(text)...)
			if constant, ok := text.(*ast.Ident); ok {
				sent[name] = append(sent[name], constants[tree.Name.Name+"."+constant.Name]...)
			}
			return true
		})
	}
	if len(sent) < 5 {
		t.Fatalf("found only %d types in the code of the server; does this test still read it right?", len(sent))
	}
	return sent
}

var verb = regexp.MustCompile(`%[a-z]`)

// fragments returns the parts of a detail that never vary.
func fragments(detail string, variable *regexp.Regexp) (parts []string) {
	for _, part := range variable.Split(detail, -1) {
		if part = strings.TrimSpace(part); len(part) > 3 {
			parts = append(parts, part)
		}
	}
	return parts
}

// causes returns the details in the table of a page, without their code quotes.
func causes(p page) (all []string) {
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]*)` \\| [^|]+ \\|$").FindAllStringSubmatch(p.text, -1) {
		if m[1] != "detail" && !strings.HasPrefix(m[1], "https://") { // the heads of the two tables
			all = append(all, m[1])
		}
	}
	return all
}

// Every detail that the code can send is in the table of its page, and the
// table has no other.
func TestErrorPagesListEveryCause(t *testing.T) {
	sent := details(t)
	var command []string // the app gives the reasons for not being ready
	for _, tree := range parse(t, "../internal/app/*.go") {
		command = append(command, literals(tree)...)
	}
	for _, p := range pages(t) {
		listed := causes(p)
		if len(sent[p.typ.Name]) > 0 && len(listed) == 0 {
			t.Errorf("%s lists no cause", p.file)
		}
		onPage := strings.Join(listed, "\n")
		for _, detail := range sent[p.typ.Name] {
			for _, part := range fragments(detail, verb) {
				if !strings.Contains(onPage, part) {
					t.Errorf("%s does not list the cause %q", p.file, part)
				}
			}
		}
		inCode := strings.Join(append(sent[p.typ.Name], command...), "\n")
		for _, detail := range listed {
			for _, part := range fragments(detail, regexp.MustCompile("…")) {
				if !strings.Contains(inCode, part) {
					t.Errorf("%s lists %q, which the server does not send with this type", p.file, part)
				}
			}
		}
	}
}
