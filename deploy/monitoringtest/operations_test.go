package monitoringtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	operationsFile = "../../docs/operations.md"
	// runbookBase is where docs/operations.md is published. The anchor of a heading is
	// the one of GitHub: the heading in lower case.
	runbookBase = "https://kubernaut.io/docs/operations"
)

func readOperations(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(operationsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The guide has a section for each alert, and for nothing else that looks like one.
func TestEveryAlertIsInTheGuide(t *testing.T) {
	doc := readOperations(t)
	alerts := readRules(t).alerts()
	sections := map[string]string{}
	for _, s := range regexp.MustCompile(`(?m)^### (DynamicToolset\w+)\n((?:[^#\n].*\n|\n)*)`).FindAllStringSubmatch(doc, -1) {
		if _, twice := sections[s[1]]; twice {
			t.Errorf("%s has two sections", s[1])
		}
		sections[s[1]] = s[2]
		if _, ok := alerts[s[1]]; !ok {
			t.Errorf("the guide explains %s, which is no alert", s[1])
		}
	}
	for name, rule := range alerts {
		text, ok := sections[name]
		if !ok {
			t.Errorf("the guide has no section %q", "### "+name)
			continue
		}
		for _, part := range []string{"**Means**", "**Look**", "**Do**"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no part %s", name, part)
			}
		}
		if !strings.Contains(text, "`"+rule.Labels["severity"]+"`") {
			t.Errorf("%s: its severity, %s, is not named", name, rule.Labels["severity"])
		}
	}
	for _, name := range regexp.MustCompile(`DynamicToolset[A-Z]\w+`).FindAllString(doc, -1) {
		if _, ok := alerts[name]; !ok {
			t.Errorf("the guide speaks of %s, which is no alert", name)
		}
	}
}

// A family is what the guide says about one metric.
type family struct {
	kind     string
	labels   string // sorted, separated by ", "
	optional bool   // it does not exist on every machine, or with every setting
}

// metricRow is a line of the guide's table of metrics.
var metricRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\w+) \\|([^|]*)\\| (.*) \\|$")

func documentedMetrics(t *testing.T) map[string]family {
	t.Helper()
	all := map[string]family{}
	for _, row := range metricRow.FindAllStringSubmatch(readOperations(t), -1) {
		if _, twice := all[row[1]]; twice {
			t.Errorf("the guide has %s twice", row[1])
		}
		all[row[1]] = family{row[2], strings.TrimSpace(strings.ReplaceAll(row[3], "`", "")), regexp.MustCompile(`Only (where|with) `).MatchString(row[4])}
	}
	if len(all) < 20 {
		t.Fatalf("only %d metrics found: the table has another form than this test reads", len(all))
	}
	return all
}

// Metrics that exist only with certain settings, and so not in the replicas of the other
// tests, are at least in the code. (Other tests look at their values.)
func TestOptionalMetricsExist(t *testing.T) {
	source := sources(t)
	n := 0
	for name, f := range documentedMetrics(t) {
		if f.optional && strings.HasPrefix(name, "toolset_") {
			n++
			if !regexp.MustCompile("[\"`]" + name + "[\"`{]").MatchString(source) {
				t.Errorf("the guide has %s, which nothing exposes", name)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d optional metrics found", n)
	}
}

// links finds links to files and to headings.
var links = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Every link to another file or heading leads somewhere.
func TestLinksOfTheGuide(t *testing.T) {
	doc := readOperations(t)
	anchors := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(doc, -1) {
		anchors["#"+anchor(h[1])] = true
	}
	n := 0
	for _, l := range links.FindAllStringSubmatch(doc, -1) {
		target := l[1]
		n++
		switch {
		case strings.HasPrefix(target, "#"):
			if !anchors[target] {
				t.Errorf("there is no heading for %s", target)
			}
		case !strings.Contains(target, "://"):
			file, _, _ := strings.Cut(target, "#")
			if _, err := os.Stat("../../docs/" + file); err != nil {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d links found", n)
	}
}

// anchor returns the anchor that GitHub gives a heading.
func anchor(heading string) string {
	heading = strings.ToLower(strings.ReplaceAll(heading, " ", "-"))
	return regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(heading, "")
}

// sources is the code of the service itself.
func sources(t *testing.T) string {
	t.Helper()
	var source strings.Builder
	for _, folder := range []string{"internal/app", "cluster", "transport", "shutdown", "auth"} {
		err := filepath.WalkDir("../../"+folder, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			b, err := os.ReadFile(file)
			source.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return source.String()
}

// Every log line that the guide explains is in the code, with the level that the guide
// gives if it gives only one.
func TestLogLinesOfTheGuide(t *testing.T) {
	source := sources(t)
	rows := regexp.MustCompile("(?m)^\\| `([A-Z][^`]+)` \\| ((?:debug|info|warn|error).*?) \\|").FindAllStringSubmatch(readOperations(t), -1)
	if len(rows) < 15 {
		t.Fatalf("only %d log lines found: the table has another form than this test reads", len(rows))
	}
	for _, row := range rows {
		message, level := row[1], row[2]
		if !strings.Contains(source, `"`+message+`"`) {
			t.Errorf("no code logs %q", message)
			continue
		}
		call := strings.ToUpper(level[:1]) + level[1:]
		direct := regexp.MustCompile(`\.(\w+)\("` + regexp.QuoteMeta(message) + `"`).FindStringSubmatch(source)
		if direct != nil && direct[1] != call {
			t.Errorf("%q is logged as %s, not as %s", message, direct[1], level)
		}
	}
}

// Every setting that the guide names exists; flags of other programs are listed as such.
func TestSettingsOfTheGuide(t *testing.T) {
	b, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	others := []string{
		"--overrides",          // generate
		"--scenario", "--help", // bin/verify
		"--all-namespaces", "--as", "--sort-by", "--previous", "--prefix", "--since", "--tail", "--raw", "--show-managed-fields", "--audience", // kubectl
		"--line-buffered",             // grep
		"--pass-authorization-header", // oauth2-proxy
	}
	n := 0
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(readOperations(t), -1) {
		if slices.Contains(others, flag) {
			continue
		}
		n++
		if !regexp.MustCompile("`" + flag + "(=[A-Z]+)?`").Match(b) {
			t.Errorf("there is no setting %s", flag)
		}
	}
	for _, variable := range regexp.MustCompile(`TOOLSET_[A-Z_]+`).FindAllString(readOperations(t), -1) {
		if !strings.Contains(string(b), "`"+variable+"`") {
			t.Errorf("there is no setting %s", variable)
		}
	}
	if n < 20 {
		t.Errorf("only %d settings found", n)
	}
}
