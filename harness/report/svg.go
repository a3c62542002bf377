package report

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"math"
	"strconv"
)

// chartStyle is the look of all pictures. A picture can then be shown in the
// page or stand alone, and in both follows the reader's choice of dark or light.
//
//go:embed chart.css
var chartStyle string

// svg builds a picture. Whatever goes into it as text or as an attribute's
// value is escaped, so nothing from a cluster can become markup.
type svg struct {
	bytes.Buffer
}

// open begins an element; attributes are pairs of a name and a value, which is
// a string, an int or a float64.
func (d *svg) open(tag string, attributes ...any) {
	d.begin(tag, attributes)
	d.WriteString(">")
}

func (d *svg) close(tag string) { d.WriteString("</" + tag + ">\n") }

// leaf writes an element without content.
func (d *svg) leaf(tag string, attributes ...any) {
	d.begin(tag, attributes)
	d.WriteString("/>\n")
}

// titled writes an element whose only content is its tooltip.
func (d *svg) titled(tag, title string, attributes ...any) {
	d.open(tag, attributes...)
	d.title(title)
	d.close(tag)
}

func (d *svg) title(text string) {
	d.WriteString("<title>")
	d.escape(text)
	d.WriteString("</title>")
}

// text writes a text at a place.
func (d *svg) text(x, y float64, class, text string, attributes ...any) {
	d.open("text", append([]any{"x", x, "y", y, "class", class}, attributes...)...)
	d.escape(text)
	d.close("text")
}

func (d *svg) begin(tag string, attributes []any) {
	d.WriteString("<" + tag)
	for i := 0; i+1 < len(attributes); i += 2 {
		d.WriteString(" " + attributes[i].(string) + `="`)
		switch v := attributes[i+1].(type) {
		case string:
			d.escape(v)
		case int:
			d.WriteString(strconv.Itoa(v))
		case float64:
			d.WriteString(coordinate(v))
		}
		d.WriteString(`"`)
	}
}

// escape writes a text so that it is only that. Writing to a buffer has no errors.
func (d *svg) escape(s string) { _ = xml.EscapeText(&d.Buffer, []byte(visible(s))) }

// coordinate writes a number with one decimal, which is finer than a pixel.
func coordinate(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	v = math.Round(v*10) / 10
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// standalone wraps the inside of a picture as a file of its own.
func standalone(width, height float64, label string, inside []byte) []byte {
	var d svg
	d.WriteString(xml.Header)
	d.open("svg", "xmlns", "http://www.w3.org/2000/svg", "viewBox", "0 0 "+coordinate(width)+" "+coordinate(height),
		"width", width, "height", height, "role", "img", "aria-label", label, "class", "chart")
	d.WriteString("<style>\n" + chartStyle + "</style>\n")
	d.leaf("rect", "width", width, "height", height, "class", "paper")
	d.Write(inside)
	d.close("svg")
	return d.Bytes()
}
