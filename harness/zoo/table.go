package zoo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A Result is what came of a variant.
type Result struct {
	Server  Server
	Variant Variant
	Version string
	Runs    int
	Losses  Losses   // of all runs
	Fails   []string // checks that failed, other than those of requests
	Told    string   // what the verifier says is the cause
	Wrong   []string // what is wrong with its verdict
	Err     string   // there is no verdict
}

// Add adds a run.
func (r *Result) Add(run *record.Run) {
	l := Count(run)
	if r.Losses.Anybody == nil {
		r.Losses.Anybody = map[Loss]int{}
	}
	r.Runs++
	r.Losses.Sent += l.Sent
	r.Losses.Baseline += l.Baseline
	r.Losses.Blind += l.Blind
	for one, n := range l.Anybody {
		r.Losses.Anybody[one] += n
	}
	for _, id := range failed(run) {
		if !strings.HasPrefix(id, "requests-") && !slices.Contains(r.Fails, id) {
			r.Fails = append(r.Fails, id)
		}
	}
	if told := cause(run); told != "" {
		r.Told = told
	}
	for _, wrong := range r.Variant.Expect.Judge(run) {
		r.Wrong = append(r.Wrong, fmt.Sprintf("run %d: %s", r.Runs, wrong))
	}
}

// cause returns what the verifier says of the most frequent loss of each grade.
func cause(run *record.Run) string {
	var say []string
	for _, blind := range []bool{false, true} {
		counts := map[string]int{}
		for i := range run.Requests {
			if r := &run.Requests[i]; r.Failed() && r.SentAfterClose == blind {
				text := string(r.Outcome)
				if blind {
					text += ", sent after the server had closed"
				}
				counts[text]++
			}
		}
		most := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
			if counts[a] != counts[b] {
				return counts[b] - counts[a]
			}
			return strings.Compare(a, b)
		})
		for _, text := range most[:min(2, len(most))] {
			say = append(say, fmt.Sprintf("%d %s", counts[text], text))
		}
	}
	return strings.Join(say, "; ")
}

// Right reports whether the verifier was right in all runs.
func (r *Result) Right() bool { return r.Err == "" && len(r.Wrong) == 0 }

// WriteTable writes the results as a table of Markdown.
func WriteTable(w io.Writer, results []Result) error {
	var b strings.Builder
	b.WriteString("| server | variant | requests | lost by any client | only by clients that don't look | other checks that failed | what the verifier saw | right verdict: lost by | verifier |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	last := ""
	for i := range results {
		r := &results[i]
		server := ""
		if r.Server.Name != last {
			server = fmt.Sprintf("[%s](%s) %s", r.Server.About, r.Server.Source, r.Version)
			last = r.Server.Name
		}
		verdict := "right"
		switch {
		case r.Err != "":
			verdict = "no verdict: " + oneLine(r.Err)
		case !r.Right():
			verdict = "**wrong**: " + oneLine(strings.Join(r.Wrong[:min(2, len(r.Wrong))], "; "))
		}
		fmt.Fprintf(&b, "| %s | %s: %s | %d | %s | %s | %s | %s | %s: %s | %s |\n", server, r.Variant.Name, r.Variant.About, r.Losses.Sent, classes(r.Losses.Anybody),
			count(r.Losses.Blind), oneLine(strings.Join(r.Fails, ", ")), oneLine(r.Told), r.Variant.Expect.Lost, r.Variant.Expect.Why, verdict)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteIssues writes what others have reported of the servers, as a table of Markdown.
func WriteIssues(w io.Writer, servers []Server) error {
	var b strings.Builder
	b.WriteString("| server | issue | says |\n|---|---|---|\n")
	for _, s := range servers {
		for _, i := range s.Issues {
			repository, number, _ := strings.Cut(i.Ref, "#")
			fmt.Fprintf(&b, "| %s | [%s](https://github.com/%s/issues/%s) | %s |\n", s.About, i.Ref, repository, number, i.Says)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func classes(lost map[Loss]int) string {
	var say []string
	for _, one := range sorted(lost) {
		say = append(say, fmt.Sprintf("%d %s %s", lost[one], one.Class, one.Way))
	}
	if len(say) == 0 {
		return "0"
	}
	return strings.Join(say, ", ")
}

func count(n int) string { return fmt.Sprint(n) }

// oneLine makes text fit into a cell of a table.
func oneLine(text string) string {
	text = strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}
