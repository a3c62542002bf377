package page

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// served returns the address of a server of this page, with an event stream in which nothing
// happens. The tests of package transport have the real server.
func served(t *testing.T, p *Page, snap *snapshot.Snapshot, state *State, explanation any) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		q, wrong := Parse(parameters(r.URL.RawQuery))
		if len(wrong) > 0 {
			t.Errorf("%s: %v", r.URL, wrong)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", Policy)
		var page bytes.Buffer
		if err := p.Write(&page, snap, state, &q, explanation); err != nil {
			t.Error(err)
		}
		_, _ = page.WriteTo(w) // the script gives up a request when there is a newer one
	})
	end := make(chan struct{})
	mux.HandleFunc("/api/v1/toolsets/watch", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, ": still here\n\n") //nolint:errcheck // the browser may be gone
		w.(http.Flusher).Flush()
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() { close(end); s.Close() })
	return s.URL + "/"
}

// open starts a browser.
func open(t *testing.T) *chromium.Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	return chromium.Open(t)
}

// pale returns all texts whose contrast is below that of level AA (WCAG 2.2, success criterion
// 1.4.3): 4.5 to 1, or 3 to 1 for large ones.
const pale = `(() => {
	const channels = c => c.match(/[\d.]+/g).map(Number);
	const luminance = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = e => {
		for (; e; e = e.parentElement) {
			const c = channels(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] === 1) return c;
			if (c[3] > 0) throw new Error("a background shines through");
		}
		return [255, 255, 255];
	};
	const found = [];
	const judge = (e, style, text) => {
		const a = luminance(channels(style.color)), b = luminance(ground(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		if (ratio < (large ? 3 : 4.5)) found.push(text.trim().slice(0, 40) + ": " + ratio.toFixed(2));
	};
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let n = 0;
	while (texts.nextNode()) {
		const e = texts.currentNode.parentElement;
		if (!texts.currentNode.data.trim() || ["SCRIPT", "STYLE", "OPTION"].includes(e.nodeName)) continue;
		judge(e, getComputedStyle(e), texts.currentNode.data);
		n++;
	}
	for (const e of document.querySelectorAll("input")) judge(e, getComputedStyle(e, "::placeholder"), "placeholder " + e.id);
	for (const e of document.querySelectorAll("input, select")) judge(e, getComputedStyle(e), e.id);
	if (n < 40) found.push("only " + n + " texts were looked at");
	return found;
})()`

// cutOff returns what is wider than its place, so that a part of it can't be seen.
const cutOff = `[...document.querySelectorAll("body *")].filter(e => !e.closest(".unseen, .symbols, datalist, thead, details:not([open]) > :not(summary)") && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1 && !["INPUT", "SELECT", "OPTION"].includes(e.nodeName) && getComputedStyle(e).display !== "inline").map(e => e.nodeName + "." + e.className + ": " + e.textContent.trim().slice(0, 40))`

// The page looks right, and can be read and operated by everybody: in every width and colour,
// with few back ends and with many, in good times and in bad.
func TestPageInABrowser(t *testing.T) {
	p, snap := drawn(few())
	none, nothing := drawn(nil)
	hostilePage, hostileSnap, hostileState, _, hostileExplanation := called(hostile)
	large, all := drawn(many(10_000))
	for _, one := range []struct {
		name, url, query string
		rows             int
	}{
		{"fine", served(t, p, snap, fine(), nil), "", 12},
		{"troubled", served(t, p, snap, troubled(), explanationOf()), "?explain=shop/query-frontend", 12},
		{"candidates", served(t, p, snap, troubled(), nil), "?verdict=candidate", 0},
		{"many", served(t, large, all, fine(), nil), "?page=37", rowsPerPage},
		{"empty", served(t, none, nothing, &State{Version: "1.4.0"}, nil), "", 0},
		{"unmatched", served(t, p, snap, fine(), nil), "?type=loki&health=unhealthy", 0},
		{"hostile", served(t, hostilePage, hostileSnap, hostileState, hostileExplanation), "?explain=a/b", 3},
	} {
		t.Run(one.name, func(t *testing.T) {
			b := open(t)
			b.NoScrollbars(t)
			for _, colours := range []string{"light", "dark"} {
				b.Scheme(t, colours)
				for _, width := range []int64{1440, 360, 800} {
					if width == 800 && one.name != "fine" {
						continue
					}
					b.Do(t, chromedp.EmulateViewport(width, 900))
					b.Do(t, chromedp.Navigate(one.url+one.query))
					b.Await(t, `document.documentElement.classList.contains("live")`)
					if n := chromium.Evaluate[int](t, b, `document.querySelectorAll("#rows tr").length`); n != one.rows {
						t.Errorf("%d rows, want %d", n, one.rows)
					}
					if wide := chromium.Evaluate[int64](t, b, `document.documentElement.scrollWidth`); wide > width {
						t.Errorf("the page is %d wide where there is room for %d", wide, width)
					}
					if cut := chromium.Evaluate[[]string](t, b, cutOff); len(cut) > 0 {
						t.Errorf("%d wide, %d are cut off: %q", width, len(cut), cut[:min(5, len(cut))])
					}
					if found := chromium.Evaluate[[]string](t, b, pale); len(found) > 0 {
						t.Errorf("%d wide, %s: the contrast of %d texts is too low: %q", width, colours, len(found), found[:min(5, len(found))])
					}
					if one.name != "many" && one.name != "hostile" { // those are too long for a picture
						b.Shoot(t, fmt.Sprintf("page-%s-%d-%s", one.name, width, colours))
					}
					chromium.Evaluate[bool](t, b, `(document.querySelectorAll("details").forEach(d => d.open = true), true)`)
					if cut := chromium.Evaluate[[]string](t, b, cutOff); len(cut) > 0 {
						t.Errorf("%d wide, when all is open %d are cut off: %q", width, len(cut), cut[:min(5, len(cut))])
					}
				}
			}
			for _, name := range b.Names(t) {
				if !strings.Contains(name, " ") && name != "table" {
					t.Errorf("a %s has no accessible name", name)
				}
			}
			if got := chromium.Evaluate[string](t, b, `typeof window.pwned`); got != "undefined" {
				t.Errorf("a script from outside ran: window.pwned is a %s", got)
			}
			b.QuietBelow(t, one.url)
		})
	}
}

// Everything can be reached by the keyboard, in the order in which it is read, and one sees
// where one is.
func TestKeyboardInABrowser(t *testing.T) {
	b := open(t)
	p, snap := drawn(few())
	url := served(t, p, snap, fine(), explanationOf())
	b.Do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url))
	b.Await(t, `document.documentElement.classList.contains("live")`)
	var order []string
	for range 16 {
		b.Do(t, chromedp.KeyEvent(kb.Tab))
		order = append(order, chromium.Evaluate[string](t, b, `document.activeElement.id || document.activeElement.innerText.trim().split("\n")[0]`))
		if outline := chromium.Evaluate[string](t, b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
			t.Errorf("one does not see that %s has the focus", order[len(order)-1])
		}
	}
	want := []string{"Skip to the list", "Dynamic Toolset", "service", "Explain", "7", "2", "2", "1", "8", "3", "1"}
	for i := range want {
		if !strings.HasPrefix(order[i], want[i]) {
			t.Fatalf("the order is %q, want %q first", order, want)
		}
	}
	// What is open and what has the focus stays so when the page is brought up to date.
	chromium.Evaluate[bool](t, b, `(() => { const s = document.querySelector("#rows summary"); s.focus(); s.click(); scrollTo(0, 300); return true; })()`)
	chromium.Evaluate[bool](t, b, `(() => { document.dispatchEvent(new Event("visibilitychange")); document.querySelector("#said").textContent = ""; return true; })()`)
	b.Await(t, `document.querySelector("#said").textContent === "live"`)
	if got := chromium.Evaluate[string](t, b, `[document.activeElement.nodeName, document.activeElement.parentElement.open, scrollY].join(" ")`); got != "SUMMARY true 300" {
		t.Errorf("afterwards: %s", got)
	}
	b.QuietBelow(t, url)
}

// Without scripts every function is there: filters, pages, explanations, details.
func TestPageWithoutScripts(t *testing.T) {
	b := open(t)
	b.Scripts(t, false)
	p, snap := drawn(many(350))
	url := served(t, p, snap, fine(), explanationOf())
	at := func() string { return chromium.Evaluate[string](t, b, `location.search`) }
	b.Do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url))
	if said := chromium.Evaluate[string](t, b, `document.querySelector("#live").innerText`); !strings.HasPrefix(said, "as of 12:00:00 UTC") {
		t.Errorf("the state is %q", said)
	}
	b.Do(t, chromedp.Click(`#list .head a[rel=next]`))
	b.Await(t, `location.search === "?page=2" && document.readyState === "complete" && document.querySelectorAll("#rows tr").length === 100`)
	b.Do(t, chromedp.SetValue(`#f-health`, "unhealthy"), chromedp.Click(`#filter button`))
	b.Await(t, `location.search.includes("health=unhealthy") && document.readyState === "complete"`)
	if got := chromium.Evaluate[string](t, b, `document.querySelector("#count")?.innerText`); got != "32 of 350 back ends" {
		t.Errorf("%s shows %q", at(), got)
	}
	b.Do(t, chromedp.SendKeys(`#service`, "shop/query-frontend"+kb.Enter))
	b.Await(t, `location.search.includes("explain=shop%2Fquery-frontend") && document.readyState === "complete"`)
	if got := chromium.Evaluate[string](t, b, `document.querySelector("#explanation").innerText`); !strings.Contains(got, "3100 (http): is a number at which loki") {
		t.Errorf("%s explains %q", at(), got)
	}
	b.Do(t, chromedp.Click(`#explanation .close`))
	b.Await(t, `!location.search.includes("explain") && document.readyState === "complete" && !document.querySelector(".explanation")`)
	b.Do(t, chromedp.Click(`#rows summary`))
	b.Await(t, `document.querySelector("#rows details").open`)
	b.QuietBelow(t, url)
}

// With scripts, filters work at once and an explanation is shown in the page, which has the
// address of what it shows.
func TestPageWithScripts(t *testing.T) {
	b := open(t)
	p, snap := drawn(many(350))
	url := served(t, p, snap, fine(), explanationOf())
	b.Do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url))
	b.Await(t, `document.documentElement.classList.contains("live")`)
	chromium.Evaluate[bool](t, b, `window.same = true`)
	b.Do(t, chromedp.SendKeys(`#f-name`, "-0011"))
	b.Await(t, `document.querySelector("#count")?.innerText === "10 of 350 back ends" && document.activeElement.id === "f-name"`)
	chromium.Evaluate[bool](t, b, `(() => { const s = document.querySelector("#f-health"); s.value = "unhealthy"; s.dispatchEvent(new Event("change", { bubbles: true })); return true; })()`)
	b.Await(t, `document.querySelector("#count")?.innerText === "1 of 350 back ends"`)
	if got := chromium.Evaluate[string](t, b, `location.search`); got != "?health=unhealthy&name=-0011" {
		t.Errorf("the address has %s", got)
	}
	b.Do(t, chromedp.SendKeys(`#service`, "shop/query-frontend"+kb.Enter))
	b.Await(t, `document.querySelector("#explanation")?.innerText.includes("3100 (http)") && document.activeElement.id === "explained"`)
	if got := chromium.Evaluate[string](t, b, `location.search`); !strings.Contains(got, "explain=shop%2Fquery-frontend") || !strings.Contains(got, "name=-0011") {
		t.Errorf("the address has %s", got)
	}
	b.Do(t, chromedp.Click(`#explanation .close`))
	b.Await(t, `!document.querySelector(".explanation") && !location.search.includes("explain")`)
	b.Do(t, chromedp.Click(`#rows .why`))
	b.Await(t, `!!document.querySelector(".explanation")`)
	if !chromium.Evaluate[bool](t, b, `window.same === true`) {
		t.Error("the page was loaded anew")
	}
	// Back leads to what was there.
	chromium.Evaluate[bool](t, b, `(history.back(), true)`)
	b.Await(t, `window.same !== true && !document.querySelector(".explanation") && document.querySelector("#count")?.innerText === "1 of 350 back ends"`)
	if names := b.Names(t); !slices.Contains(names, "searchbox Explain a Service") || !slices.Contains(names, "combobox Health") {
		t.Errorf("the names are %q", names)
	}
	b.QuietBelow(t, url)
}
