package comparison

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// chartStyle is the style of these charts, in addition to the common one of package chart.
//
//go:embed chart.css
var chartStyle string

// pictureWidth is the width of the charts. Lengths are in pixels if a chart is shown at this
// width.
const pictureWidth = 920

// A picture is one chart. about describes it for people who can't see it.
type picture struct {
	chart.SVG
	title, about string
	height       float64
}

// Charts are the names of the charts.
var Charts = []string{"ratios", "cpu", "latency"}

var errNothing = errors.New("nothing was measured that the chart shows")

// SVG returns one of the Charts as an SVG file. The error wraps errNothing if the result has
// no figures for it.
func (r *Result) SVG(name string) ([]byte, error) {
	var p *picture
	switch name {
	case "ratios":
		p = r.ratioPicture()
	case "cpu":
		p = r.cpuPicture()
	case "latency":
		if all := r.latencies(); len(all) > 0 {
			p = r.latencyPicture(&all[0])
		}
	default:
		return nil, fmt.Errorf("there is no chart %q: the charts are %s", name, strings.Join(Charts, ", "))
	}
	if p == nil {
		return nil, fmt.Errorf("%s: %w", name, errNothing)
	}
	const head, foot = 44, 30
	var d chart.SVG
	d.Text(14, 26, "head", p.title)
	d.Open("g", "transform", "translate(0 "+chart.Coordinate(head)+")")
	d.Write(p.Bytes())
	d.Close("g")
	d.Text(14, head+p.height+16, "tick", format.Cut(fmt.Sprintf("version %s, %s; %s", r.Version, r.At.UTC().Format("2006-01-02"), r.Host), 140))
	return chart.Standalone(pictureWidth, head+p.height+foot, chartStyle, p.title+". "+p.about, d.Bytes()), nil
}

// WriteCharts writes the Charts into a folder as ratios.svg and so on, except those for
// which the result has no figures. It creates the folder if needed.
func (r *Result) WriteCharts(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- results are for everyone
		return err
	}
	for _, name := range Charts {
		picture, err := r.SVG(name)
		if errors.Is(err, errNothing) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), picture, 0o644); err != nil { // #nosec G306 -- see above
			return err
		}
	}
	return nil
}

// known lists the servers that have a colour and a mark of their own. The colours can be
// told apart with any kind of colour vision (after Okabe and Ito, Color Universal Design),
// and the marks without colours.
var known = []string{Ours, OursAuthenticated, Reference, "net/http", "chi", "nginx", "naive"}

// marks are SVG paths around 0, 0, in the order of known. The last is for other servers.
var marks = []string{
	"M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", // circle
	"M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", // ring
	"M-4-4h8v8h-8z",                                     // square
	"M0-5.5L5.5 0L0 5.5L-5.5 0z",                        // diamond
	"M-1.5-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z", // cross
	"M0-5L5 4.5H-5z",                                    // triangle
	"M0 5L5-4.5H-5z",                                    // triangle, upside down
	"M0-5.5L1.6-1.7L5.5-1.7L2.4 .9L3.5 5L0 2.6L-3.5 5L-2.4 .9L-5.5-1.7L-1.6-1.7z", // star
}

// look returns the index of a server's colour and mark. Unknown servers share the last.
func look(name string) int {
	if i := slices.Index(known, name); i >= 0 {
		return i
	}
	return len(marks) - 1
}

func colour(name string) string { return "k" + string(rune('0'+look(name))) }

// mark draws a server's mark, with a tooltip unless tip is empty.
func (p *picture) mark(x, y float64, name, tip string) {
	class := "mark " + colour(name)
	if look(name) == 1 {
		class += " hollow"
	}
	at := "translate(" + chart.Coordinate(x) + " " + chart.Coordinate(y) + ")"
	if tip == "" {
		p.Leaf("path", "class", class, "d", marks[look(name)], "transform", at)
		return
	}
	p.Titled("path", tip, "class", class, "d", marks[look(name)], "transform", at)
}

func (p *picture) line(class string, x1, y1, x2, y2 float64) {
	p.Leaf("line", "class", class, "x1", x1, "y1", y1, "x2", x2, "y2", y2)
}

// nameClass returns the CSS class of a server's name. This service's own name stands out.
func nameClass(name string) string {
	if name == Ours || name == OursAuthenticated {
		return "name ours"
	}
	return "name"
}

// spoken joins the parts of a picture's description.
func spoken(parts []string) string { return strings.Join(parts, "; ") + "." }
