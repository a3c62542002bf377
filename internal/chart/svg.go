// Package chart draws pictures as SVG. An [SVG] writes elements in which no text can
// become markup; [LogScale], [RoundUp] and [Ticks] make scales with round numbers;
// [Style] gives all pictures one look, light or dark as the reader prefers.
package chart

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"math"
	"strconv"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// Style is the common style of pictures: letters, background, grid. A picture may be part
// of a page or stand alone; in both it is dark or light as the reader prefers. It applies
// to elements of the class chart and what is in them.
//
//go:embed chart.css
var Style string

// An SVG builds a picture. Text and attribute values are escaped, so that no input
// becomes markup. The zero value is an empty picture.
type SVG struct {
	bytes.Buffer
}

// Open begins an element. attributes are pairs of a name and a value, which is a string,
// an int or a float64.
func (d *SVG) Open(tag string, attributes ...any) {
	d.begin(tag, attributes)
	d.WriteString(">")
}

// Close ends an element.
func (d *SVG) Close(tag string) { d.WriteString("</" + tag + ">\n") }

// Leaf writes an element without content.
func (d *SVG) Leaf(tag string, attributes ...any) {
	d.begin(tag, attributes)
	d.WriteString("/>\n")
}

// Titled writes an element whose only content is its tooltip.
func (d *SVG) Titled(tag, title string, attributes ...any) {
	d.Open(tag, attributes...)
	d.Title(title)
	d.Close(tag)
}

// Title writes the tooltip of the element that was begun last.
func (d *SVG) Title(text string) {
	d.WriteString("<title>")
	d.Escape(text)
	d.WriteString("</title>")
}

// Text writes a text at a place.
func (d *SVG) Text(x, y float64, class, text string, attributes ...any) {
	d.Open("text", append([]any{"x", x, "y", y, "class", class}, attributes...)...)
	d.Escape(text)
	d.Close("text")
}

func (d *SVG) begin(tag string, attributes []any) {
	d.WriteString("<" + tag)
	for i := 0; i+1 < len(attributes); i += 2 {
		d.WriteString(" " + attributes[i].(string) + `="`)
		switch v := attributes[i+1].(type) {
		case string:
			d.Escape(v)
		case int:
			d.WriteString(strconv.Itoa(v))
		case float64:
			d.WriteString(Coordinate(v))
		}
		d.WriteString(`"`)
	}
}

// Escape writes a text in such a form that it is not markup. Writing to a buffer has no
// errors.
func (d *SVG) Escape(s string) { _ = xml.EscapeText(&d.Buffer, []byte(format.Visible(s))) }

// Coordinate writes a number with one decimal, which is finer than a pixel.
func Coordinate(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	v = math.Round(v*10) / 10
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// Standalone returns the elements of a picture as a file. style is CSS in addition to
// Style; label describes the picture to those who can't see it.
func Standalone(width, height float64, style, label string, inside []byte) []byte {
	var d SVG
	d.WriteString(xml.Header)
	d.Open("svg", "xmlns", "http://www.w3.org/2000/svg", "viewBox", "0 0 "+Coordinate(width)+" "+Coordinate(height),
		"width", width, "height", height, "role", "img", "aria-label", label, "class", "chart")
	d.WriteString("<style>\n" + Style + style + "</style>\n")
	d.Leaf("rect", "width", width, "height", height, "class", "paper")
	d.Write(inside)
	d.Close("svg")
	return d.Bytes()
}
