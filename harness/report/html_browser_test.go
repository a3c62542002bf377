package report

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
)

// open writes the reports of a run and shows the page, 1280 pixels wide and in light
// colours.
func open(t *testing.T, b *chromium.Browser, run *record.Run) (page string) {
	t.Helper()
	dir := t.TempDir()
	if _, err := WriteAll(dir, run); err != nil {
		t.Fatal(err)
	}
	page = "file://" + filepath.Join(dir, "report.html")
	b.Scheme(t, "light")
	b.Do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(page))
	return page
}

func TestPageInABrowser(t *testing.T) {
	b := chromium.Open(t)
	for _, one := range []struct {
		name   string
		run    *record.Run
		colour string // of the verdict
	}{
		{"clean", cleanRun(), "rgb(11, 110, 79)"},
		{"naive", naiveRun(), "rgb(179, 0, 27)"},
		{"warned", warnedRun(), "rgb(138, 90, 0)"},
		{"fixed", fixedRun(), "rgb(179, 0, 27)"},
	} {
		t.Run(one.name, func(t *testing.T) {
			page := open(t, b, one.run)
			s := Aggregate(one.run)
			if got := chromium.Evaluate[string](t, b, `document.querySelector("#verdict").innerText`); got != s.Verdict {
				t.Errorf("verdict %q, want %q", got, s.Verdict)
			}
			// The content security policy allows the page's own style.
			if got := chromium.Evaluate[string](t, b, `getComputedStyle(document.querySelector("#verdict")).color`); got != one.colour {
				t.Errorf("the verdict is %s, want %s", got, one.colour)
			}
			if got := chromium.Evaluate[int](t, b, `document.querySelectorAll("#checks tbody tr").length`); got != len(asked(one.run.Checks)) {
				t.Errorf("%d checks, want %d", got, len(asked(one.run.Checks)))
			}
			sections := chromium.Evaluate[[]string](t, b, `[...document.querySelectorAll("section")].map(s => s.id)`)
			if i := slices.Index(sections, "lost"); (i >= 0) != (s.Failed > 0) || i >= 0 && sections[i-1] != "checks" {
				t.Errorf("the sections are %q; what was lost belongs right after the checks", sections)
			}
			if i := slices.Index(sections, "causes"); (i == 0) != (len(one.run.Causes) > 0) {
				t.Errorf("the sections are %q; the causes belong on top, if there are any", sections)
			}
			if i := slices.Index(sections, "fixed"); (i == 1) != (one.run.Fixed != nil) {
				t.Errorf("the sections are %q; what the change is worth belongs below the causes", sections)
			}
			if twice := chromium.Evaluate[[]string](t, b, `(ids => ids.filter((id, i) => ids.indexOf(id) !== i))([...document.querySelectorAll("[id]")].map(e => e.id))`); len(twice) != 0 {
				t.Errorf("identifiers that are there twice: %q", twice)
			}
			if one.name == "naive" {
				counts := chromium.Evaluate[[]string](t, b, `[...document.querySelectorAll("#lost tbody tr:first-child")][0].innerText.split("\t").slice(0, 7)`)
				if want := "connection refused 105 94 124 24 347 11.401 s"; strings.Join(counts, " ") != want {
					t.Errorf("the first row of the lost is %q, want %q", counts, want)
				}
			}
			rows := chromium.Evaluate[[]string](t, b, `[...document.querySelectorAll("#timeline .pod .podname title")].map(t => t.textContent.split("\n")[0])`)
			for i := range one.run.Pods {
				if !strings.Contains(strings.Join(rows, " "), one.run.Pods[i].Name) {
					t.Errorf("no row of pod %s", one.run.Pods[i].Name)
				}
			}
			if len(rows) != len(one.run.Pods) {
				t.Errorf("%d rows of pods, want %d", len(rows), len(one.run.Pods))
			}
			titles := chromium.Evaluate[[]string](t, b, `[...document.querySelectorAll("#timeline use.x")].map(u => u.querySelector("title").textContent)`)
			if len(titles) != s.Failed {
				t.Errorf("%d marks of lost requests, want %d", len(titles), s.Failed)
			}
			for _, q := range s.Failures {
				want := fmt.Sprintf("%s: %s, %s", offset(s.From, q.End), q.Class, q.Outcome)
				if !strings.Contains(strings.Join(titles, "\n"), want) {
					t.Errorf("no tooltip says %q", want)
				}
			}
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
					b.Shoot(t, fmt.Sprintf("%s-%d-%s", one.name, width, colours))
				}
			}
			b.Quiet(t, page)
		})
	}
}

// plot is where the timeline is, in pixels of the window.
type plot struct{ Left, Right, Top float64 }

// at returns the pixel of a time, if the part of the run between from and to is shown.
func (p plot) at(second, from, to float64) float64 {
	return p.Left + (second-from)/(to-from)*(p.Right-p.Left)
}

func TestZoomAndHover(t *testing.T) {
	b := chromium.Open(t)
	open(t, b, cleanRun())
	chromium.Evaluate[bool](t, b, `document.querySelectorAll("#zooms button")[1].click() === undefined`)
	b.Shoot(t, "clean-zoomed")
	b.Quiet(t, chromium.Evaluate[string](t, b, `location.href`))
	run := naiveRun()
	page := open(t, b, run)
	chromium.Evaluate[bool](t, b, `document.querySelector("#time").scrollIntoView() === undefined`)
	where := chromium.Evaluate[plot](t, b, `(() => {
		const box = document.querySelector("#timeline").getBoundingClientRect(), scale = box.width / 1160;
		return { Left: box.left + 136 * scale, Right: box.left + 1060 * scale, Top: box.top };
	})()`)

	// Everything that moves, with its place to the pixel.
	const places = `[...document.querySelectorAll("#timeline .tz > *")].map(e => [e.tagName, ...["x", "x1", "x2", "width"].map(n => Math.round(e.getAttribute(n) || 0)), e.tagName === "path" && e.getCTM().a.toFixed(3)].join(" ")).join("\n")`
	before := chromium.Evaluate[string](t, b, places)
	b.Do(t, chromedp.MouseEvent("mouseMoved", where.at(11.5, 0, 62), where.Top+100))
	text := chromium.Evaluate[string](t, b, `document.querySelector("#readout").hidden ? "" : document.querySelector("#readout").innerText`)
	s := Aggregate(run)
	for _, c := range s.Seconds[11].Classes {
		want := fmt.Sprintf("%s: %d due", c.Class, c.Sent)
		if c.Failed > 0 {
			want += fmt.Sprintf(", %d lost", c.Failed)
		}
		if !strings.Contains(text, want) {
			t.Errorf("pointing at second 11 shows %q, without %q", text, want)
		}
	}

	// The dragged range then fills the picture.
	b.Do(t, chromedp.DragAndDropXY(where.at(10, 0, 62), where.Top+100, where.at(20, 0, 62), where.Top+100))
	if chromium.Evaluate[string](t, b, places) == before {
		t.Error("the drag moved nothing")
	}
	ticks := chromium.Evaluate[string](t, b, `[...document.querySelectorAll("#timeline .ticks")][0].textContent`)
	if !strings.Contains(ticks, "11 s12 s13 s") || strings.Contains(ticks, "21 s") {
		t.Errorf("after a drag from 10 to 20 s the axis shows %q", ticks)
	}
	// The bar of a pod that was created at 10 s and deleted after 20 s now begins at
	// the left edge and ends beyond the right one.
	for what, script := range map[string]string{
		"begins at 136":    `[...document.querySelectorAll("#timeline rect.starting")].some(r => Math.abs(r.getAttribute("x") - 136) < 3)`,
		"ends beyond 1060": `[...document.querySelectorAll("#timeline rect.ready")].some(r => Number(r.getAttribute("x")) + Number(r.getAttribute("width")) > 1061)`,
	} {
		if !chromium.Evaluate[bool](t, b, script) {
			t.Errorf("after the drag no bar %s", what)
		}
	}
	chromium.Evaluate[bool](t, b, `document.querySelectorAll("#zooms button")[2].click() === undefined`)
	if pressed := chromium.Evaluate[[]string](t, b, `[...document.querySelectorAll("#zooms button[aria-pressed=true]")].map(b => b.textContent)`); len(pressed) != 1 || pressed[0] != "rolling restart 2" {
		t.Errorf("pressed: %q", pressed)
	}
	b.Shoot(t, "naive-zoomed")
	chromium.Evaluate[bool](t, b, `document.querySelectorAll("#zooms button")[0].click() === undefined`)
	if moved := chromium.Evaluate[string](t, b, places); moved != before {
		t.Error("after zooming in and out the picture is not what it was")
	}
	b.Quiet(t, page)
}

// Text from a cluster runs nothing, and a page at its size limits is shown without
// errors.
func TestHostileAndBigPagesInABrowser(t *testing.T) {
	b := chromium.Open(t)
	for name, run := range map[string]*record.Run{"hostile": hostileRun(), "big": bigRun(5000), "empty": {}} {
		page := open(t, b, run)
		if got := chromium.Evaluate[string](t, b, `typeof window.pwned`); got != "undefined" {
			t.Errorf("%s: a script from the cluster ran: window.pwned is a %s", name, got)
		}
		if wide := chromium.Evaluate[int64](t, b, `document.documentElement.scrollWidth`); wide > 1280 {
			t.Errorf("%s: the page is %d wide where there is room for 1280", name, wide)
		}
		b.Shoot(t, name)
		b.Quiet(t, page)
	}
}

func TestPicturesInABrowser(t *testing.T) {
	b := chromium.Open(t)
	dir := t.TempDir()
	naive, clean := naiveRun(), cleanRun()
	readiness := CompareRun("readiness only", Aggregate(clean))
	readiness.Lost = map[record.Outcome]int{record.EOFBefore: 31, record.Refused: 4, record.ResetMid: 7, record.StreamBroken: 2}
	for name, write := range map[string]func(*os.File) error{
		"timeline": func(f *os.File) error { return writePicture(f, naive, Aggregate(naive)) },
		"compare": func(f *os.File) error {
			return Compare(f, []ComparisonRow{CompareRun("naive", Aggregate(naive)), readiness, CompareRun("full", Aggregate(clean))})
		},
	} {
		path := filepath.Join(dir, name+".svg")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for _, colours := range []string{"light", "dark"} {
			b.Scheme(t, colours)
			b.Do(t, chromedp.EmulateViewport(1180, 900), chromedp.Navigate("file://"+path))
			if got := chromium.Evaluate[string](t, b, `document.documentElement.tagName + getComputedStyle(document.querySelector(".paper")).fill`); got != map[string]string{"light": "svgrgb(255, 255, 255)", "dark": "svgrgb(18, 24, 31)"}[colours] {
				t.Errorf("%s, %s: the browser shows %q", name, colours, got)
			}
			b.Shoot(t, name+"-"+colours)
		}
		b.Quiet(t, "file://"+path)
	}
}
