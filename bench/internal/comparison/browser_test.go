package comparison

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
)

// show writes a result's charts and opens one in the browser.
func show(t *testing.T, b *chromium.Browser, r *Result, chart string) (url string) {
	t.Helper()
	dir := t.TempDir()
	if err := r.WriteCharts(dir); err != nil {
		t.Fatal(err)
	}
	url = "file://" + filepath.Join(dir, chart+".svg")
	b.Do(t, chromedp.EmulateViewport(960, 1100), chromedp.Navigate(url))
	return url
}

// figure returns the number that a chart shows as "1,234", "12 %" or "47.9 us".
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

// textsApart checks that all texts are within their chart and do not cover each other.
func textsApart(t *testing.T, b *chromium.Browser, name string) {
	t.Helper()
	problems := chromium.Evaluate[[]string](t, b, `(() => {
		const found = [];
		for (const svg of document.querySelectorAll("svg.chart")) {
			const view = svg.viewBox.baseVal;
			// A text's box is higher than its letters, so boxes may overlap a little.
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

// Charts need no other file, and are light or dark as the reader prefers.
func TestPicturesInABrowser(t *testing.T) {
	b := chromium.Open(t)
	missed := read(t)
	missed.Targets[2].Ratios = nil
	missed.Targets[3].Got, missed.Targets[3].Ratios = 0.712, slices.Repeat([]float64{0.70, 0.712, 0.72}, 7)
	for result, r := range map[string]*Result{"met": read(t), "missed": missed} {
		for _, name := range Charts {
			url := show(t, b, r, name)
			for colours, want := range map[string]string{"light": "svgrgb(255, 255, 255)", "dark": "svgrgb(18, 24, 31)"} {
				b.Scheme(t, colours)
				if got := chromium.Evaluate[string](t, b, `document.documentElement.tagName + getComputedStyle(document.querySelector(".paper")).fill`); got != want {
					t.Errorf("%s, %s: the browser shows %q", name, colours, got)
				}
				b.Shoot(t, result+"-"+name+"-"+colours)
			}
			textsApart(t, b, name)
			b.Quiet(t, url)
		}
	}
	if _, err := missed.SVG("nothing"); err == nil || !strings.Contains(err.Error(), "ratios, cpu, latency") {
		t.Errorf("an unknown chart: %v", err)
	}
	if _, err := (&Result{}).SVG("latency"); !errors.Is(err, errNothing) {
		t.Errorf("an empty chart: %v", err)
	}
	if err := (&Result{}).WriteCharts(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// No name in a result can make the browser run a script.
func TestAHostileResultInABrowser(t *testing.T) {
	b := chromium.Open(t)
	for _, name := range Charts {
		url := show(t, b, called(hostile), name)
		if got := chromium.Evaluate[string](t, b, `typeof window.pwned`); got != "undefined" {
			t.Errorf("%s: a script ran: window.pwned is a %s", name, got)
		}
		b.Shoot(t, "hostile-"+name)
		b.Quiet(t, url)
	}
}
