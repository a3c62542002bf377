package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Each fuzz target has a row in docs/security.md, which says for how long it has run and
// what it found, and each row has its target.
func TestFuzzTargetsAreInTheTable(t *testing.T) {
	var targets []string // such as "transport FuzzQuery"
	declaration := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	for file, source := range tracked(t, "*_test.go") {
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			targets = append(targets, path.Dir(file)+" "+string(match[1]))
		}
	}

	const page = "docs/security.md"
	source, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` (Fuzz\\w+)").FindAllSubmatch(source, -1) {
		rows = append(rows, string(match[1])+" "+string(match[2]))
	}
	if len(targets) == 0 || len(rows) == 0 {
		t.Fatalf("%d targets, %d rows", len(targets), len(rows))
	}
	for _, target := range targets {
		if !slices.Contains(rows, target) {
			t.Errorf("%s has no row for %s: fuzz it for five minutes, as the page says, and add one", page, target)
		}
	}
	for i, row := range rows {
		if !slices.Contains(targets, row) {
			t.Errorf("%s has a row for %s, which is not a fuzz target", page, row)
		}
		if slices.Contains(rows[:i], row) {
			t.Errorf("%s has two rows for %s", page, row)
		}
	}
}
