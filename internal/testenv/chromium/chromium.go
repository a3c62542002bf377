// Package chromium opens pages in a real browser, for tests.
package chromium

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A Browser is a Chromium for one test. It records the browser's complaints and requests.
type Browser struct {
	ctx       context.Context
	complaint chan string
	requests  chan string
}

// screenshots is an environment variable with the directory in which pictures of the
// pages are kept, for a person to look at; empty for none.
const screenshots = "REPORT_SCREENSHOTS"

// Open starts a Chromium that ends with the test. If there is none the test is skipped;
// see package testenv.
func Open(t *testing.T) *Browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		testenv.Missing(t, "Chromium", "Install it: sudo apt-get install chromium fonts-dejavu-core")
	}
	timeout, cancelTimeout := context.WithTimeout(t.Context(), 4*time.Minute)
	allocator, cancelAllocator := chromedp.NewExecAllocator(timeout,
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(time.Minute), // CI is slow
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", false), chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		// Waits until the process has ended, so that its directory can be removed.
		_ = chromedp.Cancel(ctx)
		cancel()
		cancelAllocator()
		cancelTimeout()
	})
	b := &Browser{ctx: ctx, complaint: make(chan string, 1000), requests: make(chan string, 1000)}
	// The listener sees an event before the command that has caused it returns.
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			b.complaint <- string(e.Entry.Level) + ": " + e.Entry.Text
		case *runtime.EventConsoleAPICalled:
			b.complaint <- "console." + string(e.Type)
		case *runtime.EventExceptionThrown:
			b.complaint <- e.ExceptionDetails.Text
		case *network.EventRequestWillBeSent:
			b.requests <- e.Request.URL
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	}
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err != nil {
		t.Fatalf("Chromium did not start: %v", err)
	}
	return b
}

// Do runs steps, each of which must succeed. A step is tried again if the page was replaced
// by another while it looked for its element.
func (b *Browser) Do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	for _, step := range steps {
		for end := time.Now().Add(testenv.Patience); ; time.Sleep(50 * time.Millisecond) {
			err := chromedp.Do(b.ctx, step)
			if err == nil {
				break
			}
			if !replaced(err) || time.Now().After(end) {
				t.Fatal(err)
			}
		}
	}
}

// replaced reports whether err says that the page was replaced by another meanwhile, so that
// nothing was done.
func replaced(err error) bool {
	for _, words := range []string{"Could not find node", "No node with given id", "context was destroyed", "Cannot find context", "target navigated or closed", "Node with given id does not belong"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// Evaluate returns the value of a JavaScript expression.
func Evaluate[T any](t *testing.T, b *Browser, expression string) T {
	t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return out
}

// Await waits until a JavaScript expression is true.
func (b *Browser) Await(t *testing.T, expression string) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience); ; time.Sleep(50 * time.Millisecond) {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		switch {
		case err == nil && is:
			return
		case err != nil && !replaced(err):
			t.Fatalf("%s: %v", expression, err)
		case time.Now().After(end):
			t.Fatalf("it is not true after %s that %s", testenv.Patience, expression)
		}
	}
}

// Names returns the accessible names of all that people can operate on the page, such as
// "link Next". Nothing comes after the role of what has no name.
func (b *Browser) Names(t *testing.T) (names []string) {
	t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &s) // a value that is no text counts as none
		}
		return s
	}
	for _, n := range tree.Nodes {
		switch role := text(n.Role); role {
		case "link", "button", "textbox", "searchbox", "combobox", "table", "navigation", "search", "form", "image", "img", "DisclosureTriangle":
			if !n.Ignored {
				names = append(names, strings.TrimSpace(role+" "+text(n.Name)))
			}
		}
	}
	return names
}

// Scheme makes the page dark or light.
func (b *Browser) Scheme(t *testing.T, name string) {
	t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Scripts switches the scripts of pages on or off.
func (b *Browser) Scripts(t *testing.T, on bool) {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		t.Fatal(err)
	}
}

// NoScrollbars hides scrollbars, which would cover the edge of a picture of the whole page.
func (b *Browser) NoScrollbars(t *testing.T) {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true}); err != nil {
		t.Fatal(err)
	}
}

// Quiet fails the test if the browser had complaints, or if the page requested anything
// but itself.
func (b *Browser) Quiet(t *testing.T, page string) {
	t.Helper()
	b.quiet(t, func(address string) bool { return address == page })
}

// QuietBelow fails the test if the browser had complaints, or if the page requested anything
// that does not begin with address, or "data:".
func (b *Browser) QuietBelow(t *testing.T, address string) {
	t.Helper()
	b.quiet(t, func(asked string) bool { return strings.HasPrefix(asked, address) || strings.HasPrefix(asked, "data:") })
}

func (b *Browser) quiet(t *testing.T, allowed func(address string) bool) {
	t.Helper()
	for {
		select {
		case c := <-b.complaint:
			t.Errorf("the browser complains: %s", c)
		case r := <-b.requests:
			if !allowed(r) {
				t.Errorf("the page asked for %s", r)
			}
		default:
			return
		}
	}
}

// Window returns a picture of what is in the window, as PNG.
func (b *Browser) Window(t *testing.T) []byte {
	t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	return png
}

// Shoot saves a picture of the whole page, and logs where.
func (b *Browser) Shoot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		dir = t.TempDir()
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name+".png")
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(png, []byte("\x89PNG")) || len(png) < 20_000 {
		t.Errorf("%s is no picture of a page (%d bytes)", name, len(png))
	}
	t.Logf("looked at in a browser: %s", path)
}
