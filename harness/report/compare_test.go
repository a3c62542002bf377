package report

import (
	"bytes"
	"encoding/xml"
	"slices"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestComparison(t *testing.T) {
	rows := []ComparisonRow{
		{Name: "naive", Requests: 1000, Lost: map[record.Outcome]int{record.EOFMid: 30, record.Refused: 10, "of its own kind": 60}},
		{Name: "half", Requests: 1000, Lost: map[record.Outcome]int{record.EOFMid: 50, record.Malformed: 0}},
		{Name: "full", Requests: 27971},
	}
	var out bytes.Buffer
	if err := Compare(&out, rows); err != nil {
		t.Fatal(err)
	}
	var picture struct {
		Groups []struct {
			Title string `xml:"title"`
			Rects []struct {
				Width float64 `xml:"width,attr"`
			} `xml:"rect"`
		} `xml:"g"`
		Texts []struct {
			Class string `xml:"class,attr"`
			Text  string `xml:",chardata"`
		} `xml:"text"`
	}
	if err := xml.Unmarshal(out.Bytes(), &picture); err != nil {
		t.Fatal(err)
	}
	// The known outcomes are in the order of all reports, then come the others. Widths
	// are to scale: the run that lost most fills all 520.
	var got []string
	var widths []float64
	for _, g := range picture.Groups {
		got = append(got, g.Title)
		widths = append(widths, g.Rects[0].Width)
	}
	want := []string{"naive: 10 connection refused", "naive: 30 EOF mid-response", "naive: 60 of its own kind", "half: 50 EOF mid-response"}
	if !slices.Equal(got, want) || !slices.Equal(widths, []float64{52, 156, 312, 260}) {
		t.Errorf("%q %v, want %q", got, widths, want)
	}
	var keys, values []string
	for _, one := range picture.Texts {
		switch one.Class {
		case "key":
			keys = append(keys, one.Text)
		case "value":
			values = append(values, one.Text)
		}
	}
	if !slices.Equal(keys, []string{"connection refused", "EOF mid-response", "of its own kind"}) {
		t.Errorf("legend %q", keys)
	}
	if !slices.Equal(values, []string{"100 of 1,000", "50 of 1,000", "0 of 27,971"}) {
		t.Errorf("values %q", values)
	}
	if err := Compare(&out, nil); err == nil {
		t.Error("nothing was compared, without complaint")
	}
}
