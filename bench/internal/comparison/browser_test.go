package comparison

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
)

// show writes a result's page and opens it.
func show(t *testing.T, b *chromium.Browser, r *Result) (url string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.HTML(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b.Scheme(t, "light")
	b.Do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate("file://"+path))
	return "file://" + path
}

// figure reads what the page shows: "1,234", "12 %", "47.9 us", as a number.
func figure(t *testing.T, text string) float64 {
	t.Helper()
	number, unit, _ := strings.Cut(strings.ReplaceAll(text, ",", ""), " ")
	v, err := strconv.ParseFloat(number, 64)
	times, ok := map[string]float64{"": 1, "%": 0.01, "us": 1, "ms": 1e3, "s": 1e6, "x": 1, "MB": 1}[unit]
	if err != nil || !ok {
		t.Errorf("%q is no figure", text)
	}
	return v * times
}

// middle is the median of an odd number of rounds.
func middle(values ...float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// same wants a figure to be that of the data, to the digits that are shown.
func same(t *testing.T, what, shown string, want float64) {
	t.Helper()
	if got := figure(t, shown); math.Abs(got-want) > 0.006*math.Abs(want)+0.0006 {
		t.Errorf("%s: the page shows %q, the data has %v", what, shown, want)
	}
}

// cellsOf gives the texts of a table's rows.
func cellsOf(t *testing.T, b *chromium.Browser, selector string) [][]string {
	t.Helper()
	return chromium.Evaluate[[][]string](t, b, `[...document.querySelectorAll("`+selector+` tbody tr")].map(r => [...r.children].map(c => c.innerText.trim()))`)
}

func TestThePageShowsTheData(t *testing.T) {
	b := chromium.Open(t)
	r := read(t)
	url := show(t, b, r)
	if got := chromium.Evaluate[string](t, b, `document.querySelector("#verdict").innerText`); got != "All 6 targets are met" {
		t.Errorf("the verdict is %q", got)
	}
	// The content security policy lets the page's own style through.
	if got := chromium.Evaluate[string](t, b, `getComputedStyle(document.querySelector("#verdict")).color`); got != "rgb(11, 110, 79)" {
		t.Errorf("the verdict is %s", got)
	}

	rows := cellsOf(t, b, "#targets")
	if len(rows) != len(r.Targets) {
		t.Fatalf("%d rows of targets, want %d", len(rows), len(r.Targets))
	}
	for i, target := range r.Targets {
		if !strings.HasSuffix(rows[i][0], " ok") || rows[i][1] != target.Title {
			t.Errorf("target %q is shown as %q", target.Title, rows[i])
		}
		same(t, target.Title, rows[i][3], target.Got)
		for k, one := range strings.Fields(rows[i][5]) {
			same(t, fmt.Sprint(target.Title, " round ", k), one, target.Ratios[k])
		}
	}

	titles := map[string]string{}
	for _, c := range r.Servers {
		titles[c.Name] = c.Title
	}
	tables := chromium.Evaluate[[]string](t, b, `[...document.querySelectorAll("#throughput h3")].map(h => h.firstChild.textContent.trim())`)
	if len(tables) != len(r.Workloads) {
		t.Fatalf("tables of %q, want %d", tables, len(r.Workloads))
	}
	all := cellsOf(t, b, "#throughput")
	at := 0
	for i, w := range r.Workloads {
		if tables[i] != w.Title {
			t.Errorf("table %d is of %q, want %q", i, tables[i], w.Title)
		}
		reference := measured(t, r, w.Name, Reference)
		for _, c := range r.Servers {
			if !slices.ContainsFunc(r.Throughput, func(one Throughput) bool { return one.Workload == w.Name && one.Server == c.Name }) {
				continue
			}
			row := all[at]
			at++
			if row[0] != c.Title {
				t.Fatalf("%s: the row of %q is that of %q", w.Title, c.Title, row[0])
			}
			var perSecond, cpu, ratio []float64
			for n, round := range measured(t, r, w.Name, c.Name) {
				good := float64(round.Requests - round.Failed)
				perSecond, cpu = append(perSecond, good/round.Seconds), append(cpu, round.CPU/good*1e6)
				ratio = append(ratio, good/round.CPU*reference[n].CPU/float64(reference[n].Requests))
			}
			what := w.Title + ", " + c.Title
			same(t, what, row[1], middle(perSecond...))
			same(t, what, row[3], middle(cpu...))
			same(t, what, row[5], middle(ratio...))
			low, high, _ := strings.Cut(row[4], " - ")
			same(t, what+", lowest", low, slices.Min(cpu))
			same(t, what+", highest", high, slices.Max(cpu))
			if at < len(all) && all[at][0] == "" { // a remark
				if want := map[string]string{"chi": "FAILED: 3 of ", Reference: "the client had work "}[c.Name]; want == "" || !strings.HasPrefix(all[at][1], want) {
					t.Errorf("%s: %q", what, all[at][1])
				}
				at++
			}
		}
	}
	if at != len(all) {
		t.Errorf("%d rows of throughput, want %d", len(all), at)
	}

	at = 0
	rows = cellsOf(t, b, ".latency")
	overloads, without := 0, 0
	for i, l := range r.Latency {
		if i == 0 || l.Rate != r.Latency[i-1].Rate {
			if want := fmt.Sprintf("%.0f %% of saturation, ", 100*l.Share); !strings.HasPrefix(rows[at][0], want) {
				t.Errorf("%q, want %q", rows[at][0], want)
			}
			at++
		}
		row := rows[at]
		at++
		if row[0] != titles[l.Server] {
			t.Fatalf("the row of %q is that of %q", l.Server, row[0])
		}
		var good []LatencyRound
		for _, round := range l.Rounds {
			if round.Answered == round.Due {
				good = append(good, round)
			}
		}
		if 2*len(good) <= len(l.Rounds) {
			overloads++
			if len(row) != 3 || !strings.HasPrefix(row[2], "overload: ") {
				t.Errorf("an overload is shown as %q", row)
			}
			continue
		}
		if len(good) < len(l.Rounds) {
			without++
			at++
		}
		if len(good)%2 == 0 {
			continue // a median between two, which TestSpread looks at
		}
		var times [3][]float64
		for _, round := range good {
			times[0], times[1], times[2] = append(times[0], round.P50), append(times[1], round.P99), append(times[2], round.P999)
		}
		for q := range times {
			same(t, fmt.Sprint(l.Server, " at ", l.Rate), row[2+2*q], middle(times[q]...))
		}
	}
	if overloads < 5 || without == 0 || at != len(rows) {
		t.Errorf("%d overloads, %d figures without some rounds, %d of %d rows", overloads, without, at, len(rows))
	}

	rows = cellsOf(t, b, "#idle")
	for i, idle := range r.Idle {
		var grown []float64
		for _, round := range idle.Rounds {
			grown = append(grown, float64(round.After-round.Before)/1e6)
		}
		same(t, "memory of "+idle.Server, rows[i][4], middle(grown...))
	}
	b.Quiet(t, url)
}

// measured gives the rounds of a server.
func measured(t *testing.T, r *Result, workload, server string) []Round {
	t.Helper()
	i := slices.IndexFunc(r.Throughput, func(one Throughput) bool { return one.Workload == workload && one.Server == server })
	if i < 0 {
		t.Fatalf("%s was not measured with %s", server, workload)
	}
	return r.Throughput[i].Rounds
}

// The page is whole at each width and in each light, and in print.
func TestThePageFits(t *testing.T) {
	b := chromium.Open(t)
	missed := read(t)
	missed.Targets[2].Ratios = nil
	missed.Targets[3].Got, missed.Targets[3].Ratios = 0.712, slices.Repeat([]float64{0.70, 0.712, 0.72}, 7)
	for name, r := range map[string]*Result{"met": read(t), "missed": missed} {
		url := show(t, b, r)
		for _, width := range []int64{1280, 800} {
			b.Do(t, chromedp.EmulateViewport(width, 900))
			if wide := chromium.Evaluate[int64](t, b, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("the page is %d wide where there is room for %d", wide, width)
			}
			if cut := chromium.Evaluate[[]string](t, b, `[...document.querySelectorAll(".wide")].filter(e => e.scrollWidth > e.clientWidth).map(e => e.closest("section").id)`); len(cut) != 0 {
				t.Errorf("%d wide, parts of the tables in %v can't be seen", width, cut)
			}
			for _, colours := range []string{"light", "dark"} {
				b.Scheme(t, colours)
				b.Shoot(t, fmt.Sprintf("%s-%d-%s", name, width, colours))
			}
		}
		textsApart(t, b, name)
		b.Quiet(t, url)
	}
}

// textsApart wants every text of the charts to be inside of them, and to cover no other.
func textsApart(t *testing.T, b *chromium.Browser, name string) {
	t.Helper()
	problems := chromium.Evaluate[[]string](t, b, `(() => {
		const found = [];
		for (const svg of document.querySelectorAll("svg.chart, svg[class=chart]")) {
			const view = svg.viewBox.baseVal;
			// Without what lines have above and below their letters.
			const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent).map(t => ({ text: t.textContent, box: t.getBoundingClientRect() }));
			const all = svg.getBoundingClientRect(), close = 2;
			for (const [i, a] of texts.entries()) {
				if (a.box.left < all.left - 1 || a.box.right > all.right + 1 || a.box.top < all.top - 3 || a.box.bottom > all.bottom + 3) found.push(a.text + " is cut");
				for (const c of texts.slice(i + 1)) {
					if (a.box.left < c.box.right && c.box.left < a.box.right && a.box.top + close < c.box.bottom - close && c.box.top + close < a.box.bottom - close) found.push(a.text + " covers " + c.text);
				}
			}
		}
		return found;
	})()`)
	for _, p := range problems {
		t.Errorf("%s: %s", name, p)
	}
}

// Pictures stand alone, and are light or dark as the reader has it.
func TestPicturesInABrowser(t *testing.T) {
	b := chromium.Open(t)
	r := read(t)
	dir := filepath.Join(t.TempDir(), "charts")
	if err := r.WriteCharts(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range Charts {
		path := filepath.Join(dir, name+".svg")
		for colours, want := range map[string]string{"light": "svgrgb(255, 255, 255)", "dark": "svgrgb(18, 24, 31)"} {
			b.Scheme(t, colours)
			b.Do(t, chromedp.EmulateViewport(960, 1100), chromedp.Navigate("file://"+path))
			if got := chromium.Evaluate[string](t, b, `document.documentElement.tagName + getComputedStyle(document.querySelector(".paper")).fill`); got != want {
				t.Errorf("%s, %s: the browser shows %q", name, colours, got)
			}
			b.Shoot(t, "svg-"+name+"-"+colours)
		}
		textsApart(t, b, name)
		b.Quiet(t, "file://"+path)
	}
	if _, err := r.SVG("nothing"); err == nil || !strings.Contains(err.Error(), "ratios, cpu, latency, memory") {
		t.Errorf("an unknown chart: %v", err)
	}
	if _, err := (&Result{}).SVG("latency"); !errors.Is(err, ErrNothing) {
		t.Errorf("an empty chart: %v", err)
	}
	if err := (&Result{}).WriteCharts(dir); err != nil {
		t.Error(err)
	}
}

// Whatever a result calls things, nothing of it runs.
func TestAHostileResultInABrowser(t *testing.T) {
	b := chromium.Open(t)
	for name, r := range map[string]*Result{"hostile": called(hostile), "empty": {}} {
		url := show(t, b, r)
		if got := chromium.Evaluate[string](t, b, `typeof window.pwned`); got != "undefined" {
			t.Errorf("%s: a script ran: window.pwned is a %s", name, got)
		}
		if wide := chromium.Evaluate[int64](t, b, `document.documentElement.scrollWidth`); wide > 1280 {
			t.Errorf("%s: the page is %d wide where there is room for 1280", name, wide)
		}
		b.Shoot(t, name)
		b.Quiet(t, url)
	}
}
