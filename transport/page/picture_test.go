package page

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
)

var (
	picture   = flag.String("picture", "", "write a picture of the page to this file, for the README")
	pictureOf = flag.String("of", "", "the page of -picture, such as http://localhost:8080/; empty for that of a made-up cluster")
)

// tallest is how high the picture may be.
const tallest = 1500

// TestPicture writes the picture in the README:
//
//	go test -run TestPicture ./transport/page -picture ../../docs/page.png
//
// With -of http://localhost:8080/ it is that of the example cluster, while make run serves it.
func TestPicture(t *testing.T) {
	if *picture == "" {
		return // there is nothing to draw, and nothing is missing
	}
	b := chromium.Open(t)
	b.NoScrollbars(t)
	b.Scheme(t, "light")
	url := *pictureOf
	if url == "" {
		p, snap := drawn(few())
		url = served(t, p, snap, fine(), nil)
	}
	b.Do(t, chromedp.EmulateViewport(1440, tallest), chromedp.Navigate(url))
	b.Await(t, `document.documentElement.classList.contains("live")`)
	// It ends below a row, so that none is cut.
	end := chromium.Evaluate[float64](t, b, fmt.Sprintf(`Math.max(...[...document.querySelectorAll("#rows tr")].map(r => r.getBoundingClientRect().bottom).filter(y => y <= %d))`, tallest))
	b.Do(t, chromedp.EmulateViewport(1440, int64(end)))
	shot, err := png.Decode(bytes.NewReader(b.Window(t)))
	if err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, shot); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*picture, small.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes", *picture, small.Len())
}
