package transport

import (
	"bytes"
	"strings"
)

// acceptsHTML reports whether a client is to get HTML, by its Accept fields (RFC 9110,
// section 12.5.1). Without any, every media type is acceptable.
//
// HTML must be acceptable, and JSON must not be better. If both are as good, JSON is better
// when the client names it and not HTML: a client that sends "application/json, */*" is a
// program.
func acceptsHTML(fields [][]byte) bool {
	html, json, said := preference{}, preference{}, false
	for _, field := range fields {
		for item := range bytes.SplitSeq(field, []byte{','}) {
			if len(bytes.TrimSpace(item)) == 0 {
				continue
			}
			said = true
			name, parameters, _ := bytes.Cut(item, []byte{';'})
			weight, ok := weightOf(parameters)
			if !ok {
				continue
			}
			kind, sub, _ := strings.Cut(strings.ToLower(string(bytes.TrimSpace(name))), "/")
			html.see(kind, sub, weight, "text", "html")
			json.see(kind, sub, weight, "application", "json", "problem+json")
		}
	}
	if !said {
		return true
	}
	return html.weight > 0 && (html.weight > json.weight || html.weight == json.weight && html.precision >= json.precision)
}

// A preference is how much a client wants a media type: by the most precise range that
// matches it, which comes before all others.
type preference struct {
	weight    int // thousandths
	precision int // 1: "*/*", 2: "text/*", 3: "text/html"; 0 if nothing matches
}

func (p *preference) see(kind, sub string, weight int, wantKind string, wantSubs ...string) {
	precision := 0
	switch {
	case kind == "*" && sub == "*":
		precision = 1
	case kind == wantKind && sub == "*":
		precision = 2
	case kind == wantKind:
		for _, s := range wantSubs {
			if sub == s {
				precision = 3
			}
		}
	}
	if precision > p.precision || precision == p.precision && precision > 0 && weight > p.weight {
		p.weight, p.precision = weight, precision
	}
}

// weightOf returns the weight among the parameters of a media range, in thousandths (RFC
// 9110, section 12.4.2); 1000 if there is none, and false if it is malformed.
func weightOf(parameters []byte) (int, bool) {
	for p := range bytes.SplitSeq(parameters, []byte{';'}) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(p), []byte{'='})
		if !strings.EqualFold(string(name), "q") {
			continue
		}
		if len(value) == 0 || len(value) > len("0.000") || value[0] != '0' && value[0] != '1' || len(value) > 1 && value[1] != '.' {
			return 0, false
		}
		weight, unit := 1000*int(value[0]-'0'), 100
		for _, c := range value[min(2, len(value)):] {
			if c < '0' || c > '9' {
				return 0, false
			}
			weight += unit * int(c-'0')
			unit /= 10
		}
		return weight, weight <= 1000
	}
	return 1000, true
}
