package transport

import "testing"

func TestAcceptsHTML(t *testing.T) {
	for _, c := range []struct {
		fields []string
		html   bool
	}{
		// What browsers send (MDN, "List of default Accept values"), and others for pages.
		{[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, true},
		{[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"}, true},
		{[]string{"text/html"}, true},
		{[]string{"TEXT/HTML; charset=utf-8"}, true},
		{[]string{"text/*"}, true},
		{[]string{"application/json;q=0.5, text/html"}, true},
		{[]string{"application/json", "text/html"}, true},
		{[]string{"application/json, text/html"}, true},
		// Whoever says nothing takes everything: curl and wget.
		{nil, true},
		{[]string{""}, true},
		{[]string{"*/*"}, true},
		{[]string{"*/*;q=0.1"}, true},

		// Programs. The second is what axios sends, the third kubectl.
		{[]string{"application/json"}, false},
		{[]string{"application/json, text/plain, */*"}, false},
		{[]string{"application/json, */*"}, false},
		{[]string{"application/problem+json, */*;q=0.5"}, false},
		{[]string{"application/*, */*"}, false},
		{[]string{"application/json, text/html;q=0.9"}, false},
		{[]string{"application/vnd.kubernetes.protobuf"}, false},
		{[]string{"text/event-stream"}, false},
		{[]string{"text/plain"}, false},
		// The most precise range counts, wherever it stands.
		{[]string{"*/*, text/html;q=0"}, false},
		{[]string{"text/html;q=0, text/*, */*"}, false},
		{[]string{"text/html;q=0.000"}, false},
		{[]string{"text/*;q=0.3, application/json;q=0.2, */*;q=0"}, true},
		{[]string{"application/json;q=0, */*"}, true},
		// A malformed weight makes its range void.
		{[]string{"text/html;q=x"}, false},
		{[]string{"text/html;q=1.5"}, false},
		{[]string{"text/html;q=-1"}, false},
		{[]string{"text/html;q="}, false},
		{[]string{"text/html;q=0.1234"}, false},
		{[]string{"text/html;level=1;q=1.000"}, true},
		{[]string{"/, ;q=1, ,,text"}, false},
	} {
		var fields [][]byte
		for _, f := range c.fields {
			fields = append(fields, []byte(f))
		}
		if got := acceptsHTML(fields); got != c.html {
			t.Errorf("Accept %q gets HTML: %v", c.fields, got)
		}
	}
}

// Any Accept field has an answer, and one that names HTML alone gets it.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"", "text/html", "a/b;q=0.5,*/*", ";;,,==", "text/html;q=1.001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got := acceptsHTML([][]byte{[]byte(field)})
		if more := acceptsHTML([][]byte{[]byte(field), []byte("text/html, application/json;q=0")}); got && !more {
			t.Errorf("%q gets HTML, and no longer if it says so once more", field)
		}
	})
}
