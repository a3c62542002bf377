package comparison

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
)

func read(t *testing.T) *Result {
	t.Helper()
	f, err := os.Open("testdata/result.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	r, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

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

func TestPageInABrowser(t *testing.T) {
	b := chromium.Open(t)
	url := show(t, b, read(t))
	b.Shoot(t, "light")
	b.Scheme(t, "dark")
	b.Shoot(t, "dark")
	b.Quiet(t, url)
}
