package comparison

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the documented table and charts anew; then look at the difference")

func table(r *Result) string {
	var out bytes.Buffer
	r.Print(&out)
	return out.String()
}

// docs/benchmarks.md shows the table of the result that it links to.
func TestTable(t *testing.T) {
	const path, begin, end = "../../../docs/benchmarks.md", "\n\n```\n", "```\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), begin)
	want, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no table", path)
	}
	got := table(read(t))
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+got+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("%s has another table than its figures (run with -update to accept):\n%s", path, got)
	}
}

// What the table says of windows that anybody can count.
func TestTableShowsTheData(t *testing.T) {
	round := func(requests int, cpu float64) Round { return Round{Requests: requests, Seconds: 2, CPU: cpu} }
	at := func(p50 float64) LatencyRound {
		return LatencyRound{Due: 10, Answered: 10, P50: p50, P99: 2 * p50, P999: 3 * p50, CPU: 0.5}
	}
	got := table(&Result{
		Window: 2,
		Throughput: []Throughput{
			{Server: Ours, Workload: ByName, Rounds: []Round{round(2000, 0.01), round(4000, 0.02), round(6000, 0.06)}},
			{Server: Reference, Workload: ByName, Rounds: []Round{round(2000, 0.01), round(4000, 0.01), round(6000, 0.03)}},
		},
		Latency: []Latency{{Server: Ours, Workload: ByName, Rate: 500, Share: 0.25, Rounds: []LatencyRound{at(30), at(10), at(20)}}},
		Idle: []Idle{
			{Server: Ours, Connections: 5000, Rounds: []IdleRound{{10e6, 16e6}}}, {Server: Reference, Connections: 5000, Rounds: []IdleRound{{10e6, 14e6}}},
		},
	})
	for _, want := range []string{
		"ours 2,000 1,000 - 3,000 5.00 5.00 - 10.0 0.500 0.500 - 1.000",
		"fasthttp 2,000 1,000 - 3,000 5.00 2.50 - 5.00 1.000 1.000 - 1.000",
		"25 % of saturation, 500/s",
		"ours 25 % 20 us 10 - 30 us 40 us 20 - 60 us 60 us 30 - 90 us",
		"ours 5,000 10.0 12.0 1.500",
	} {
		if !strings.Contains(strings.Join(strings.Fields(got), " "), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// The document shows the charts of that run, too.
func TestDocumentedCharts(t *testing.T) {
	r, dir := read(t), filepath.Dir(documented)
	if *update {
		if err := r.WriteCharts(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range Charts {
		want, err := r.SVG(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.svg in %s is not what is drawn of its figures (run with -update to accept): %v", name, dir, err)
		}
	}
}

// Lines are of ASCII that a terminal shows and doesn't obey, and fit in 120 columns.
func TestTableFits(t *testing.T) {
	long := read(t)
	for i := range long.Servers {
		long.Servers[i].Title = strings.Repeat("a server of a long name ", 4)
	}
	for i := range long.Workloads {
		long.Workloads[i].Title = strings.Repeat("a workload of a long name ", 4)
	}
	for name, text := range map[string]string{"documented": table(read(t)), "long": table(long)} {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) > 120 && !strings.Contains(line, "status ") { // the details of a long title
				t.Errorf("%s: %d columns: %q", name, len(line), line)
			}
		}
	}
}

// A target that is missed is called so, and one that was not measured is not met.
func TestMissedTargets(t *testing.T) {
	r := read(t)
	for i := range r.Targets {
		r.Targets[i].Got = r.Targets[i].Want // met
	}
	last := len(r.Targets) - 1
	r.Targets[0].Got = 0.949
	r.Targets[last].Ratios = nil
	got := table(r)
	for _, want := range []string{
		fmt.Sprintf("2 of %d targets MISSED\n", len(r.Targets)), "\n  MISSED  GET by name: answers per CPU second ", "\n  MISSED  " + r.Targets[last].Title + " ",
	} {
		if !strings.Contains("\n"+got, want) {
			t.Errorf("no %q in\n%s", want, got[:1500])
		}
	}
	if !strings.Contains(got, "not measured") {
		t.Error("nothing says that a target was not measured")
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values          []float64
		median, between string
	}{
		{nil, "-", ""},
		{[]float64{math.NaN(), math.Inf(1)}, "-", ""},
		{[]float64{2, math.NaN()}, "2.00", ""},
		{[]float64{3, 1, 2}, "2.00", "1.00 - 3.00"},
		{[]float64{40, 10, 20, 30}, "25.0", "10.0 - 40.0"},
		{[]float64{1234567, 1234567}, "1,234,567", "1,234,567 - 1,234,567"},
		{[]float64{0.0123}, "0.012", ""}, {[]float64{0.9996}, "1.00", ""}, {[]float64{9.996}, "10.0", ""}, {[]float64{99.96}, "100", ""},
		{[]float64{-5}, "-5.00", ""}, {[]float64{1e300}, "1.00e+300", ""},
	} {
		median, between := spreadOf(c.values).text(three)
		if median != c.median || between != c.between {
			t.Errorf("%v: %q, %q; want %q, %q", c.values, median, between, c.median, c.between)
		}
	}
	// The unit is said once, if it is the same.
	if _, got := spreadOf([]float64{46, 47, 990}).text(micros); got != "46 - 990 us" {
		t.Error(got)
	}
	if _, got := spreadOf([]float64{46, 47, 1990}).text(micros); got != "46 us - 1.99 ms" {
		t.Error(got)
	}
}

// Figures that may be worth less than others come with the reason.
func TestDoubts(t *testing.T) {
	good := Round{Requests: 1000, Seconds: 1, CPU: 1, ClientBusy: 0.5}
	failed := Round{Requests: 1000, Failed: 3, Seconds: 1, CPU: 1, ClientBusy: 0.5}
	busy := Round{Requests: 1000, Seconds: 1, CPU: 1, ClientBusy: 0.98}
	for _, c := range []struct {
		rounds []Round
		want   string
	}{
		{[]Round{good, good}, ""},
		{[]Round{good, failed}, "FAILED: 3 of 2,000, in 1 of 2 rounds"},
		{[]Round{busy, busy, good}, "the client had work 98 % of the time: more answers per second than it can take were possible"},
		{nil, ""},
	} {
		if got := doubts(c.rounds); got != c.want {
			t.Errorf("%v: %q, want %q", c.rounds, got, c.want)
		}
	}
}

// An overload has no latency: what was answered says how long the window was.
func TestOverload(t *testing.T) {
	good := LatencyRound{Due: 1000, Answered: 1000, P50: 50, P99: 100, P999: 200, Max: 300}
	over := LatencyRound{Due: 1000, Answered: 700, P50: 400_000, P99: 800_000, P999: 900_000, Max: 1e6}
	failed := LatencyRound{Due: 1000, Answered: 990, Failed: 10, P50: 52, P99: 104, P999: 208, Max: 310}
	r := &Result{Window: 1}
	for _, c := range []struct {
		rounds         []LatencyRound
		p99            float64
		overload, note string
	}{
		{[]LatencyRound{good, good, good}, 100, "", ""},
		{[]LatencyRound{good, over, good}, 100, "", "without 1 of 3 rounds, which were an overload"},
		{[]LatencyRound{good, over}, 0, "overload: 85.0 % of the requests answered", ""},
		{[]LatencyRound{over, over, good}, 0, "overload: 70.0 % of the requests answered", ""},
		{[]LatencyRound{{Due: 100_000, Answered: 99_999}}, 0, "overload: 99.9 % of the requests answered", ""},
		{[]LatencyRound{failed}, 104, "", "FAILED: 10 of 1,000"},
		{nil, 0, "", ""},
	} {
		row := r.latencyRow(&Latency{Rounds: c.rounds})
		if row.p99.median != c.p99 || row.overload != c.overload || row.note != c.note {
			t.Errorf("%v:\n%v, %q, %q; want %v, %q, %q", c.rounds, row.p99.median, row.overload, row.note, c.p99, c.overload, c.note)
		}
	}
}

func TestReadWhatWasWritten(t *testing.T) {
	r := read(t)
	r.Missing = []string{"what could not be measured"}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read(bytes.NewReader(append(text, '\n')))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, again) {
		t.Error("what was read differs from what was written")
	}
	// Nothing of a result is lost: each field has something in it.
	for _, key := range []string{"client_busy", "client_late_p99_us", "failed", "missing", "ratios", "before_bytes", "new_connections", "p999_us"} {
		if !strings.Contains(string(text), `"`+key+`"`) {
			t.Errorf("it has no %s", key)
		}
	}
}

func TestReadOtherFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "it is empty",
		"PNG":                          "invalid character 'P'",
		"{}":                           "it has no measurement",
		"[1]":                          "cannot unmarshal array",
		`{"throughput": 7}`:            "cannot unmarshal number",
		`{"idle": [{}]} {}`:            "more behind it",
		`{"idle": [{}]} x`:             "invalid character 'x'",
		`{"throughput": [{"rounds":`:   "unexpected EOF",
		strings.Repeat(" ", maxFile+1): "more than 16 MiB",
		`{"targets": [` + strings.Repeat("{},", 64) + `{}], "idle": [{}]}`:      "targets has 65 entries, more than 64",
		`{"throughput": [{"rounds": [` + strings.Repeat("{},", 1000) + `{}]}]}`: "1001 rounds, more than 1000",
	} {
		r, err := Read(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || r != nil {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}
