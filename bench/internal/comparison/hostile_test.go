package comparison

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile is what an attacker may write into a file that is then shown.
const hostile = `</script></style></title></svg><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'"` + "`${window.pwned=1}` {{.}} ]]> \x1b[2J\x07 \x00 \xff\u202e\u2028 &lt; javascript:pwned()"

// called returns a result in which everything has the same name.
func called(name string) *Result {
	rounds := []Round{{Requests: 10, Failed: 1, Seconds: 1, CPU: 1, ClientBusy: 1}, {}}
	return &Result{
		Command: name, Version: name, Host: name, At: time.Unix(0, 0), Window: 1,
		Servers:   []Server{{Name: name, Title: name, Version: name, Note: name}},
		Workloads: []Workload{{Name: name, Title: name, Status: 200}},
		Throughput: []Throughput{
			{Server: name, Workload: name, Rounds: rounds}, {Server: Reference, Workload: name, Rounds: rounds},
			{Server: name + "?", Workload: name + "?"},
		},
		Latency: []Latency{
			{Server: name, Workload: name, Rate: 10, Share: 0.1, Rounds: []LatencyRound{{Due: 10, Answered: 10, P50: 1, P99: 2, P999: 3}}},
			{Server: name, Workload: name, Rate: 20, Share: 0.2, Rounds: []LatencyRound{{Due: 10, Answered: 1, Failed: 3}}},
			{Server: name + "?", Workload: name + "?", Rate: 10},
		},
		Idle:    []Idle{{Server: name, Connections: 1, Rounds: []IdleRound{{1, 2}}}, {Server: name + "?"}},
		Targets: []Target{{Title: name, Want: 1, Got: 2, Ratios: []float64{2}}, {Title: name + ": " + name}},
		Missing: []string{name},
	}
}

// harmless fails the test if the table or a chart of the result could do anything but show
// text.
func harmless(t *testing.T, r *Result) {
	t.Helper()
	if text := table(r); strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && (c < ' ' || c > '~') }) {
		t.Errorf("the terminal would get a control character: %q", text)
	}
	for _, name := range Charts {
		picture, err := r.SVG(name)
		if err == nil {
			wellFormed(t, name, picture)
		} else if !errors.Is(err, errNothing) {
			t.Error(err)
		}
	}
}

// wellFormed checks that text is well-formed XML, with only the elements that pictures have
// and with numbers as coordinates.
func wellFormed(t *testing.T, name string, text []byte) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("%s is not UTF-8", name)
	}
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", name, err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "svg", "style", "rect", "text", "g", "line", "path", "circle", "title":
		default:
			t.Errorf("%s has an element %s", name, e.Name.Local)
		}
		for _, a := range e.Attr {
			switch a.Name.Local {
			case "x", "x1", "x2", "cx", "y", "y1", "y2", "cy", "width", "height":
				if v, err := strconv.ParseFloat(a.Value, 64); err != nil || !(v >= -50 && v < 1e5) {
					t.Errorf("%s: %s=%q is nowhere on the picture", name, a.Name.Local, a.Value)
				}
			case "d", "transform":
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || strings.Contains(a.Value, "e+") {
					t.Errorf("%s: %s=%q", name, a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	r := called(hostile)
	harmless(t, r)
	all := ""
	for _, name := range Charts {
		picture, err := r.SVG(name)
		if err != nil {
			t.Fatal(err)
		}
		all += string(picture)
	}
	if n := strings.Count(all, "&lt;script&gt;window.pwned=1&lt;/script&gt;"); n < 10 {
		t.Errorf("the text itself is shown %d times only", n)
	}
	if strings.ContainsAny(all, "\u202e\x1b\x07") {
		t.Error("a picture has a character that changes what is around it")
	}
}

// A result can be shown even if parts of it were not measured.
func TestPartsOfAResult(t *testing.T) {
	for name, change := range map[string]func(r *Result){
		"nothing":       func(r *Result) { *r = Result{} },
		"no throughput": func(r *Result) { r.Throughput = nil },
		"no latency":    func(r *Result) { r.Latency = nil },
		"no memory":     func(r *Result) { r.Idle = nil },
		"no targets":    func(r *Result) { r.Targets = nil },
		"no reference": func(r *Result) {
			for i := range r.Throughput {
				r.Throughput[i].Server = strings.ReplaceAll(r.Throughput[i].Server, Reference, "other")
			}
			for i := range r.Idle {
				r.Idle[i].Server = strings.ReplaceAll(r.Idle[i].Server, Reference, "other")
			}
		},
		"no descriptions": func(r *Result) { r.Servers, r.Workloads = nil, nil },
		"no rounds": func(r *Result) {
			for i := range r.Throughput {
				r.Throughput[i].Rounds = nil
			}
			for i := range r.Latency {
				r.Latency[i].Rounds = nil
			}
			for i := range r.Idle {
				r.Idle[i].Rounds = nil
			}
		},
		"empty rounds": func(r *Result) {
			for i := range r.Throughput {
				r.Throughput[i].Rounds = make([]Round, 3)
			}
			for i := range r.Latency {
				r.Latency[i].Rounds = make([]LatencyRound, 3)
			}
			for i := range r.Idle {
				r.Idle[i].Rounds = make([]IdleRound, 3)
			}
		},
		"no connections": func(r *Result) {
			for i := range r.Idle {
				r.Idle[i].Connections = 0
			}
		},
		"extremes": func(r *Result) {
			r.Window = math.SmallestNonzeroFloat64
			r.Throughput[0].Rounds[0] = Round{Requests: math.MaxInt, Failed: math.MinInt, Seconds: -1, CPU: math.SmallestNonzeroFloat64}
			r.Latency[0].Rate, r.Latency[1].Rate, r.Latency[2].Rate = -math.MaxFloat64, math.MaxFloat64, 0
			r.Latency[0].Rounds[0] = LatencyRound{Due: -1, Answered: -1, P50: -1, P99: math.MaxFloat64, P999: math.SmallestNonzeroFloat64}
			r.Idle[0].Rounds[0] = IdleRound{math.MaxInt64, math.MinInt64}
			r.Targets[0].Want, r.Targets[1].Want, r.Targets[2].Ratios[0] = -math.MaxFloat64, math.MaxFloat64, -1
			r.Load, r.Connections = -1, -1
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := read(t)
			change(r)
			harmless(t, r)
			text := table(r)
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Errorf("no number:\n%s", text)
			}
			// The other parts are shown.
			for heading, has := range map[string]bool{
				"\nTARGETS": len(r.Targets) > 0, "\nTHROUGHPUT": len(r.Throughput) > 0, "\nLATENCY": len(r.Latency) > 0, "\nMEMORY": len(r.Idle) > 0,
			} {
				if strings.Contains(text, heading) != has {
					t.Errorf("%q is there: %v, want %v", heading, !has, has)
				}
			}
		})
	}
}

// Whatever Read accepts can be shown without harm.
func FuzzReports(f *testing.F) {
	small, err := json.Marshal(called(hostile))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range [][]byte{small, []byte(`{"idle":[{"contestant":"fasthttp","connections":-1,"rounds":[{"after_bytes":1}]}]}`), []byte("{}"), nil} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := Read(bytes.NewReader(text)); err == nil {
			harmless(t, r)
		}
	})
}
