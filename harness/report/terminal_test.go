package report

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
)

var update = flag.Bool("update", false, "write the expected terminal texts anew; then look at the difference")

func terminal(t *testing.T, run *record.Run, width int, colour bool, files ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Terminal(&out, run, Aggregate(run), width, colour, files...); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTerminalText(t *testing.T) {
	for name, run := range map[string]*record.Run{"clean": cleanRun(), "naive": naiveRun(), "warned": warnedRun(), "fixed": fixedRun()} {
		got := terminal(t, run, 0, false, "out/report.html", "out/report.json")
		path := "testdata/terminal-" + name + ".txt"
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s (run with -update to accept):\n%s", name, path, got)
		}
	}
}

var escape = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestTerminalFits(t *testing.T) {
	for name, run := range map[string]*record.Run{"naive": naiveRun(), "hostile": hostileRun()} {
		for i := range run.Causes {
			run.Causes[i].Change = record.Change{} // the command is not wrapped, since people copy it
		}
		for _, width := range []int{1, 32, 40, 57, 80, 200} {
			plain := terminal(t, run, width, false)
			for line := range strings.Lines(plain) {
				line = strings.TrimSuffix(line, "\n")
				if len(line) > min(max(width, 32), 80) {
					t.Errorf("%s: %d columns where there is room for %d: %q", name, len(line), width, line)
				}
				for _, r := range line {
					if r < ' ' || r > '~' {
						t.Fatalf("%s: %q in %q", name, r, line)
					}
				}
			}
			// Colour changes nothing else.
			if coloured := terminal(t, run, width, true); coloured == plain || escape.ReplaceAllString(coloured, "") != plain {
				t.Errorf("%s, width %d: the coloured text says something else:\n%s", name, width, coloured)
			}
		}
	}
}

// If the table is wider than the terminal, whole columns are left out: half a number
// would be wrong.
func TestTerminalCutsNoNumber(t *testing.T) {
	wide := strings.Split(terminal(t, naiveRun(), 80, false), "\n")
	for width := 32; width < 80; width++ {
		for line := range strings.Lines(terminal(t, naiveRun(), width, false)) {
			line = strings.TrimRight(line, "\n")
			if !strings.HasPrefix(line, "  blind ") && !strings.HasPrefix(line, "  stream ") {
				continue
			}
			whole := slices.ContainsFunc(wide, func(w string) bool { return w == line || strings.HasPrefix(w, line+" ") })
			if !whole {
				t.Errorf("width %d: a column is cut: %q", width, line)
			}
		}
	}
}

// The terminal shows a bounded part of the evidence, and where to find the rest.
func TestTerminalBoundsTheEvidence(t *testing.T) {
	check := record.Check{ID: "a", Name: "a", Result: record.Fail, Evidence: slices.Repeat([]string{"a case"}, maxEvidence+3)}
	got := terminal(t, &record.Run{Checks: []record.Check{check}}, 80, false)
	if strings.Count(got, "- a case\n") != maxEvidence || !strings.Contains(got, "- the other 3 lines of evidence: report.json\n") {
		t.Error(got)
	}
}
