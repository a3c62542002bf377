package report

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestPageInABrowser(t *testing.T) {
	b := openBrowser(t)
	for _, one := range []struct {
		name string
		run  *record.Run
	}{{"clean", cleanRun()}, {"naive", naiveRun()}} {
		t.Run(one.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := WriteAll(dir, one.run); err != nil {
				t.Fatal(err)
			}
			s := Aggregate(one.run)
			page := "file://" + filepath.Join(dir, "report.html")
			b.scheme(t, "light")
			b.do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(page))

			if got := evaluate[string](t, b, `document.querySelector("#verdict").innerText`); got != s.Verdict {
				t.Errorf("verdict %q, want %q", got, s.Verdict)
			}
			if got := evaluate[int](t, b, `document.querySelectorAll("#timeline .pod").length`); got != len(one.run.Pods) {
				t.Errorf("%d rows of pods, want %d", got, len(one.run.Pods))
			}
			if got := evaluate[int](t, b, `document.querySelectorAll("#timeline use.x").length`); got != s.Failed {
				t.Errorf("%d marks of lost requests, want %d", got, s.Failed)
			}
			titles := evaluate[[]string](t, b, `[...document.querySelectorAll("#timeline use.x > title")].map(t => t.textContent)`)
			if len(titles) != s.Failed {
				t.Errorf("%d tooltips, want %d", len(titles), s.Failed)
			}
			for _, width := range []int64{1280, 800} {
				b.do(t, chromedp.EmulateViewport(width, 900))
				if wide := evaluate[int64](t, b, `document.documentElement.scrollWidth`); wide > width {
					t.Errorf("the page is %d wide where there is room for %d", wide, width)
				}
				for _, colours := range []string{"light", "dark"} {
					b.scheme(t, colours)
					b.shoot(t, fmt.Sprintf("%s-%d-%s", one.name, width, colours))
				}
			}
			b.do(t, chromedp.EmulateViewport(1280, 900))
			b.scheme(t, "light")
			evaluate[bool](t, b, `document.querySelectorAll("#zooms button")[2].click() === undefined`)
			b.shoot(t, one.name+"-zoomed")
			b.quiet(t, page)
		})
	}
}
