package transport_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/transport"
	drawn "kubernaut.io/dynamic-toolset/transport/page"
)

// The page of the real server shows what happens, as it happens, and asks for nothing else.
func TestLivePageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser")
	}
	const script = `<script>window.pwned=1</script><img src=x onerror="window.pwned=1">`
	f := start(t, func(o *options) {
		o.PageState = func() transport.PageState { return drawn.State{Version: script} }
		o.Explain = func(_ context.Context, key service.Key) (*explain.Document, error) {
			if key.Name == "nothing" {
				return nil, explain.NewMissing(key, nil)
			}
			return &explain.Document{Listed: true, Outcome: script, Type: script, Steps: []explain.Step{{Rule: script, For: []string{script}}}}, nil
		}
	})
	hostile := svc("team-z", "hostile", script)
	hostile.Annotations = map[string]string{"primary": script}
	f.catalogue.Upsert(hostile)
	f.catalogue.Build()
	b := chromium.Open(t)
	b.Do(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(f.url+"/"))
	b.Await(t, `document.documentElement.classList.contains("live")`)
	chromium.Evaluate[bool](t, b, `window.same = true`)
	count := func(n int) {
		t.Helper()
		b.Await(t, fmt.Sprintf(`document.querySelectorAll("#rows tr").length === %d`, n))
	}
	count(5)

	f.catalogue.Upsert(svc("monitoring", "loki", "loki"))
	f.catalogue.Build()
	count(6)
	b.Await(t, `[...document.querySelectorAll("#rows tr")].map(r => r.dataset.key).join() === "monitoring/grafana,monitoring/loki,monitoring/prometheus,team-a/shared,team-b/shared,team-z/hostile"`)

	f.catalogue.SetHealth(service.Key{Namespace: "monitoring", Name: "loki"}, service.Health{Healthy: true, Reason: "fine", CheckedAt: time.Now(),
		History: []service.HealthCheck{{Time: time.Now(), Healthy: true, Reason: "fine", LatencyMS: 3, Attempts: 1}}})
	f.catalogue.Build()
	b.Await(t, `document.querySelector('tr[data-key="monitoring/loki"] .c-health').innerText.startsWith("healthy")`)

	f.catalogue.Delete("monitoring", "prometheus")
	f.catalogue.Build()
	b.Await(t, `!document.querySelector('tr[data-key="monitoring/prometheus"]')`)
	count(5)

	// An explanation stays while the list changes below it.
	b.Do(t, chromedp.Click(`tr[data-key="team-z/hostile"] .why`))
	b.Await(t, `!!document.querySelector(".explanation")`)
	f.catalogue.Delete("team-a", "shared")
	f.catalogue.Build()
	count(4)
	if !chromium.Evaluate[bool](t, b, `!!document.querySelector(".explanation") && window.same === true && window.pwned === undefined`) {
		t.Error("the explanation is gone, the page was loaded anew, or a script from outside ran")
	}
	b.QuietBelow(t, f.url+"/")

	// An error is a problem document, and the page says what it says.
	b.Do(t, chromedp.SetValue(`#service`, "team-z/nothing"), chromedp.Click(`#explain button`))
	b.Await(t, `document.querySelector("#said").innerText.includes("There is no Service")`)

	// A drain ends the stream, and the page says that it can reach nothing any more.
	if err := f.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.Await(t, `document.documentElement.classList.contains("lost") || document.querySelector("#said").innerText.startsWith("updated")`)
	if got := chromium.Evaluate[string](t, b, `document.querySelector("#said").innerText`); strings.Contains(got, "live") {
		t.Errorf("after the end it says %q", got)
	}
}
