package problem_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/problem"
)

// Each type URI leads to a page. These tests keep the pages complete and true: every type
// has a page and every page a type; a page lists each cause that the code has, and no
// other (docs_code_test.go); and each example is what the server really answers
// (docs_replay_test.go).

const pagesDir = "../docs/errors"

var update = flag.Bool("update", false, "write the responses in docs/errors anew, as the server gives them")

// A page is one file of docs/errors.
type page struct {
	typ  *problem.Type
	file string
	text string
}

// pages reads the page of each type, and fails the test where one is missing.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	for _, ty := range problem.Types() {
		file := filepath.Join(pagesDir, ty.Name+".md")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("the type %s has no page: %v", ty.Name, err)
			continue
		}
		all = append(all, page{ty, file, string(b)})
	}
	return all
}

// sections are the headings of each page, in this order. A type that nothing
// sends has no example.
var sections = []string{"When it is sent", "Example", "Members and headers", "What a client should do", "What an operator should do"}

func TestErrorPages(t *testing.T) {
	sent := details(t)
	for _, p := range pages(t) {
		_, isSent := sent[p.typ.Name]
		says := "yes"
		if !isSent {
			says = "not yet"
		}
		want := fmt.Sprintf("# %s\n\n| type | title | status | sent by this version |\n|---|---|---|---|\n| `%s` | %s | %d | %s |\n\n",
			p.typ.Title, p.typ.URI(), p.typ.Title, p.typ.Status, says)
		if !strings.HasPrefix(p.text, want) {
			t.Errorf("%s must begin with:\n%s", p.file, want)
		}
		wantSections := sections
		if !isSent {
			wantSections = slices.DeleteFunc(slices.Clone(sections), func(s string) bool { return s == "Example" })
			if !strings.Contains(p.text, "Nothing in this version sends it") {
				t.Errorf("%s does not say that nothing sends the type", p.file)
			}
		}
		var got []string
		for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(p.text, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, wantSections) {
			t.Errorf("%s has the sections %q, not %q", p.file, got, wantSections)
		}
		series := fmt.Sprintf(`toolset_error_responses_total{status_code="%d",error_type=%q}`, p.typ.Status, p.typ.Name)
		if !strings.Contains(p.text, series) {
			t.Errorf("%s does not name the series to look at, %s", p.file, series)
		}
	}
}

func TestEveryErrorPageHasItsType(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(pagesDir, "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages in %s: %v", pagesDir, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		known := slices.ContainsFunc(problem.Types(), func(ty *problem.Type) bool { return ty.Name == name })
		if name != "README" && !known {
			t.Errorf("%s is the page of no registered type", file)
		}
	}
}

// The index lists every type once, in the order of the registry.
func TestErrorIndex(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(pagesDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, ty := range problem.Types() {
		want = append(want, fmt.Sprintf("| %d | [%s](%s.md) | %s |", ty.Status, ty.Name, ty.Name, ty.Title))
	}
	for _, m := range regexp.MustCompile(`(?m)^(\| \d{3} \| [^|]* \| [^|]* \|).*$`).FindAllStringSubmatch(string(b), -1) {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("the table of README.md has\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Links within docs must lead somewhere.
func TestErrorPageLinks(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(pagesDir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../docs/migration.md")
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to what is not there: %v", file, err)
			}
		}
	}
}

// The settings, metrics and log lines that the pages name exist.
func TestErrorPagesNameWhatExists(t *testing.T) {
	settings, err := os.ReadFile("../docs/configuration.md") // generated from the flags
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for _, pattern := range append([]string{"../internal/app/*.go"}, serverCode...) {
		for _, tree := range parse(t, pattern) {
			code = append(code, literals(tree)...)
		}
	}
	inCode := strings.Join(code, "\n")
	files, err := filepath.Glob(filepath.Join(pagesDir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	flagName, envName := regexp.MustCompile("`--([a-z-]+)[=`]"), regexp.MustCompile("`(TOOLSET_[A-Z_]+)[=`]")
	metric := regexp.MustCompile(`toolset_[a-z]+(?:_[a-z]+)*`)
	for _, file := range append(files, "../docs/migration.md") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for line := range strings.Lines(string(b)) {
			// Only the last column of the table in migration.md is about this service.
			// The columns before it have names that this service does not have.
			ours := line
			if cells := strings.Split(strings.Trim(strings.TrimSpace(strings.ReplaceAll(line, `\|`, "")), "|"), " | "); strings.HasPrefix(line, "|") {
				ours = cells[len(cells)-1]
			}
			for _, m := range flagName.FindAllStringSubmatch(ours, -1) {
				if !strings.Contains(string(settings), "`--"+m[1]+"=") && !strings.Contains(string(settings), "`--"+m[1]+"`") {
					t.Errorf("%s names the setting --%s, which does not exist", file, m[1])
				}
			}
			for _, m := range envName.FindAllStringSubmatch(ours, -1) {
				if !strings.Contains(string(settings), "`"+m[1]+"`") {
					t.Errorf("%s names the variable %s, which does not exist", file, m[1])
				}
			}
			for _, m := range metric.FindAllString(ours, -1) {
				name := strings.TrimSuffix(strings.TrimSuffix(m, "_bucket"), "_count")
				if !strings.Contains(inCode, name) {
					t.Errorf("%s names the metric %s, which does not exist", file, name)
				}
			}
		}
	}
}
