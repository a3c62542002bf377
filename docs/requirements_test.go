// Package docs has the tests of what the documentation claims.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every FILE:FUNCTION in the requirements' map exists.
func TestRequirementMap(t *testing.T) {
	b, err := os.ReadFile("BR_MAPPING.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z0-9_/]+\\.go):([A-Za-z]+)`").FindAllStringSubmatch(string(b), -1)
	if len(names) < 40 {
		t.Fatalf("only %d names found: the map has another form than this test reads", len(names))
	}
	for _, n := range names {
		src, err := os.ReadFile(filepath.Join("..", n[1]))
		if err != nil {
			t.Errorf("%s:%s: %v", n[1], n[2], err)
			continue
		}
		if !regexp.MustCompile(`(?m)^(func (\([a-z]+ \*?[A-Za-z]+\) )?|\t)` + n[2] + `\(`).Match(src) {
			t.Errorf("%s has no %s", n[1], n[2])
		}
	}
	requirements, err := os.ReadFile("BUSINESS_REQUIREMENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	told, mapped := requirementNumbers(string(requirements)), requirementNumbers(string(b))
	for n := 1; n <= 43; n++ {
		if told[n] != 1 || mapped[n] < 1 {
			t.Errorf("BR-TOOLSET-%03d is in the table of the requirements %d times, in the map %d times", n, told[n], mapped[n])
		}
	}
	for i := 1; i <= 5; i++ {
		if !strings.Contains(string(b), fmt.Sprintf("| AC-039-%d |", i)) {
			t.Errorf("AC-039-%d is not mapped", i)
		}
	}
	for i := 1; i <= 8; i++ {
		if !strings.Contains(string(b), fmt.Sprintf("| AC-040-%d |", i)) {
			t.Errorf("AC-040-%d is not mapped", i)
		}
	}
}

// requirementNumbers counts the numbers in the first column of the first table of
// a document: "BR-TOOLSET-010 to 012", "001..009", "025, 029".
func requirementNumbers(doc string) map[int]int {
	counts := map[int]int{}
	inTable := false
	for line := range strings.Lines(doc) {
		list, isRow := strings.CutPrefix(line, "| BR-TOOLSET-")
		if !isRow {
			if inTable && !strings.HasPrefix(line, "|") {
				break
			}
			continue
		}
		inTable = true
		list, _, _ = strings.Cut(list, "|")
		for item := range strings.SplitSeq(list, ",") {
			var first, last int
			if n, _ := fmt.Sscanf(strings.ReplaceAll(item, "..", " to "), "%d to %d", &first, &last); n < 2 {
				last = first
			}
			for n := first; n <= last; n++ {
				counts[n]++
			}
		}
	}
	return counts
}
