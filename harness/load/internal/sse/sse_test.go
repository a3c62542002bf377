package sse

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func namesOf(r io.Reader) (names []string, err error) {
	e := NewReader(r)
	for {
		name, err := e.Next()
		if err != nil {
			return names, err
		}
		names = append(names, name)
	}
}

func TestEvents(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for text, want := range map[string]string{
		"":                                      "",
		"data: 1\n\n":                           "message",
		"data\n\n":                              "message",
		"data: 1\n":                             "", // cut off
		"event: a\ndata: 1\n\n":                 "a",
		"event:a\ndata:1\n\n":                   "a",
		"event:  a\ndata:1\n\n":                 " a",
		"event: a\r\ndata: 1\r\n\r\n":           "a",
		"event: a\rdata: 1\r\r":                 "a",
		"event: a\n\ndata: 1\n\n":               "message", // the first has no data
		"event: a\nevent: b\ndata: 1\n\n":       "b",
		"event\ndata: 1\n\n":                    "message",
		": goodbye\n\n":                         "",
		"data: 1\nevent: a\n\nid: 2\ndata:\n\n": "a message",
		"\xef\xbb\xbfevent: a\ndata: 1\n\n":     "a",
		"\n\n\n\ndata: 1\n\n\n\n":               "message",
		"data: " + long + "\n\nevent: a\ndata: " + long + "\n\n": "message a",
		" event: a\ndata: 1\n\n":                                 "message",
		"dataevent: a\n\n":                                       "",
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			names, err := namesOf(r)
			if got := strings.Join(names, " "); got != want || err != io.EOF {
				t.Errorf("%.60q: %q, %v; want %q", text, got, err, want)
			}
		}
	}
	broken := errors.New("broken")
	if names, err := namesOf(io.MultiReader(strings.NewReader("data: 1\n\n"), iotest.ErrReader(broken))); len(names) != 1 || err != broken {
		t.Error(names, err)
	}
}

// The reader agrees with a simple one that has the whole text in memory.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{"event: a\ndata: 1\n\n", "data\r\n\r\n", "\xef\xbb\xbfdata\r\r\n", "event: goodbye\rdata:\r\r: c\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := namesOf(strings.NewReader(text))
		if err != io.EOF {
			t.Fatal(err)
		}
		if want := plainly(text); !slices.Equal(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
	})
}

func plainly(text string) (names []string) {
	text = strings.TrimPrefix(text, byteOrderMark)
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	name, data := "", false
	for _, l := range lines[:len(lines)-1] {
		if l == "" {
			if data {
				if name == "" {
					name = "message"
				}
				names = append(names, name)
			}
			name, data = "", false
			continue
		}
		l = l[:min(len(l), keptOfLine)]
		field, value, _ := strings.Cut(l, ":")
		switch field {
		case "event":
			name = strings.TrimPrefix(value, " ")
		case "data":
			data = true
		}
	}
	return names
}
