package page

import (
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"kubernaut.io/dynamic-toolset/service"
)

func parameters(query string) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for part := range strings.SplitSeq(query, "&") {
			k, v, _ := strings.Cut(part, "=")
			k, _ = url.QueryUnescape(k)
			v, _ = url.QueryUnescape(v)
			if part != "" && !yield([]byte(k), []byte(v)) {
				return
			}
		}
	}
}

func TestFiltersAndPages(t *testing.T) {
	all := many(2500)
	p, snap := drawn(all)
	health := func(m *made) string {
		switch {
		case m.checks == "":
			return Unchecked
		case strings.HasSuffix(m.checks, "+"):
			return Healthy
		}
		return Unhealthy
	}
	verdict := func(m *made) string {
		if m.id.Verdict == "" {
			return "unasked"
		}
		return string(m.id.Verdict)
	}
	for _, query := range []string{"", "type=loki", "namespace=team-007", "verdict=verified", "verdict=refuted", "verdict=unverified", "verdict=unasked", "verdict=candidate", "health=healthy", "health=unhealthy", "health=unchecked",
		"enabled=true", "enabled=false", "name=-0003", "type=loki&health=unhealthy&verdict=verified", "type=none", "namespace=team-00"} {
		q, wrong := Parse(parameters(query))
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		var want []string
		for i := range all {
			m := &all[i]
			if (q.Type == "" || q.Type == m.kind) && (q.Namespace == "" || q.Namespace == m.key.Namespace) && (q.Name == "" || strings.Contains(m.key.Name, q.Name)) &&
				(q.Verdict == "" || q.Verdict == verdict(m)) && (q.Health == "" || q.Health == health(m)) && (q.Enabled == "" || (q.Enabled == "true") == !m.off) {
				want = append(want, m.key.String())
			}
		}
		slices.Sort(want)
		var got []string
		rows, list := p.list(snap, &q)
		for {
			if len(rows) > rowsPerPage {
				t.Fatalf("%s: %d rows on a page", query, len(rows))
			}
			for i := range rows {
				got = append(got, rows[i].Key)
			}
			if list.Total != len(want) || list.Of != len(all) || list.To != len(got) {
				t.Errorf("%s: %+v, want %d of %d", query, list, len(want), len(all))
			}
			if list.Next == "" {
				break
			}
			next, wrong := Parse(parameters(string(list.Next[1:])))
			if len(wrong) > 0 || next.Number != q.Number+1 && next.Number != 2 {
				t.Fatalf("%s leads to %+v, %v", list.Next, next, wrong)
			}
			q = next
			rows, list = p.list(snap, &q)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%q chooses %d, want %d", query, len(got), len(want))
		}
	}
	// A page beyond the last is the last.
	if rows, list := p.list(snap, &Query{Number: 99, Type: "loki"}); len(rows) == 0 || list.Number != list.Pages || list.Next != "" || list.Prev == "" {
		t.Errorf("%d rows, %+v", len(rows), list)
	}
	if rows, list := p.list(snap, &Query{Number: 7, Type: "none"}); len(rows) != 0 || list.Number != 1 || list.From != 0 || list.To != 0 {
		t.Errorf("%d rows, %+v", len(rows), list)
	}
}

func candidatesOf(root *html.Node) (names, offered []string, count string) {
	for _, th := range elements(root, "th") {
		if attribute(th, "scope") == "row" && attribute(th.Parent, "data-key") == "" {
			names = append(names, textOf(elements(th, "bdi")[0])+textOf(elements(th, "bdi")[1]))
		}
	}
	for _, o := range elements(byID(root, "f-verdict"), "option") {
		offered = append(offered, attribute(o, "value")+"="+textOf(o))
	}
	return names, offered, strings.Join(strings.Fields(textOf(byID(root, "count"))), " ")
}

func TestCandidates(t *testing.T) {
	p, snap := drawn(few())
	state := fine()
	for i := range 120 {
		c := Candidate{Key: service.Key{Namespace: fmt.Sprintf("team-%d", i%3), Name: fmt.Sprintf("service-%03d", i)}, Types: []string{"loki", "tempo"}}
		if i%2 == 0 {
			c.Types = []string{"mimir"}
		}
		c.Refuted = i >= 110
		state.Candidates = append(state.Candidates, c)
	}
	state.Unlisted = 7
	for query, want := range map[string]struct {
		n           int
		first, says string
		rows        int
	}{
		"":                                   {50, "team-0/service-000", "12 back ends", 12},
		"verdict=candidate":                  {100, "team-0/service-000", "120 of 127 candidates, 1 to 100", 0},
		"verdict=candidate&page=2":           {20, "team-1/service-100", "120 of 127 candidates, 101 to 120", 0},
		"verdict=candidate&page=9":           {20, "team-1/service-100", "120 of 127 candidates, 101 to 120", 0},
		"verdict=candidate&type=tempo":       {60, "team-1/service-001", "60 of 127 candidates", 0},
		"verdict=candidate&namespace=team-2": {40, "team-2/service-002", "40 of 127 candidates", 0},
		"verdict=candidate&name=-11":         {10, "team-2/service-110", "10 of 127 candidates", 0},
		"verdict=candidate&health=healthy":   {0, "", "0 of 127 candidates", 0},
		"verdict=candidate&enabled=true":     {0, "", "0 of 127 candidates", 0},
		"verdict=verified":                   {0, "", "7 of 12 back ends", 7},
		"verdict=refuted":                    {10, "team-2/service-110", "2 of 12 back ends", 2},
		"type=loki":                          {50, "team-1/service-001", "1 of 12 back ends", 1},
		"health=unchecked":                   {50, "team-0/service-000", "1 of 12 back ends", 1},
	} {
		q, wrong := Parse(parameters(query))
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		_, root := write(t, p, snap, state, &q, nil)
		names, offered, count := candidatesOf(root)
		if len(names) != want.n || want.n > 0 && names[0] != want.first || count != want.says || len(rowsOf(root)) != want.rows {
			t.Errorf("%q shows %d candidates (%.40q), %d back ends, %q; want %+v", query, len(names), names, len(rowsOf(root)), count, want)
		}
		if !slices.Equal(offered, []string{"=any", "verified=verified", "refuted=refuted", "unverified=unverified", "unasked=not asked", "candidate=candidate"}) {
			t.Errorf("the filter offers %q", offered)
		}
		if want.n == 0 && strings.Contains(query, Candidates) && !strings.Contains(textOf(root), "No candidate is like that.") {
			t.Errorf("%q shows nothing, and does not say so", query)
		}
	}
	_, root := write(t, p, snap, state, &Query{}, nil)
	if text := strings.Join(strings.Fields(textOf(byID(root, "overview"))), " "); !strings.Contains(text, "127 candidate") || !strings.Contains(text, "1 not asked") {
		t.Errorf("the overview says %q", text)
	}
}

func TestWrongQueries(t *testing.T) {
	long := strings.Repeat("x", 600)
	for query, want := range map[string]string{
		"type=a&type=b":                     "type: is given more than once",
		"type=&type=b":                      "type: is given more than once",
		"Type=a":                            "Type: is not a parameter of the page; it has: type, namespace, name, verdict, health, enabled, page, explain",
		"=":                                 ": is not a parameter of the page; it has: type, namespace, name, verdict, health, enabled, page, explain",
		"verdict=Verified":                  `verdict: must be one of verified, refuted, unverified, unasked, candidate, not "Verified"`,
		"health=ok":                         `health: must be one of healthy, unhealthy, unchecked, not "ok"`,
		"enabled=yes":                       `enabled: must be one of true, false, not "yes"`,
		"page=0":                            `page: must be a number from 1 to 1000000, not "0"`,
		"page=1000001":                      `page: must be a number from 1 to 1000000, not "1000001"`,
		"page=two&health=x":                 `page: must be a number from 1 to 1000000, not "two"; health: must be one of healthy, unhealthy, unchecked, not "x"`,
		"explain=prometheus":                `explain: must be NAMESPACE/NAME of a Service, such as monitoring/prometheus, not "prometheus"`,
		"explain=a/b/c":                     `explain: must be NAMESPACE/NAME of a Service, such as monitoring/prometheus, not "a/b/c"`,
		"explain=../b":                      `explain: must be NAMESPACE/NAME of a Service, such as monitoring/prometheus, not "../b"`,
		"explain=a/b-":                      `explain: must be NAMESPACE/NAME of a Service, such as monitoring/prometheus, not "a/b-"`,
		"explain=A/b":                       `explain: must be NAMESPACE/NAME of a Service, such as monitoring/prometheus, not "A/b"`,
		"name=" + long[:254]:                "name: is longer than 253 bytes",
		"explain=" + long:                   "explain: is longer than 507 bytes",
		long + "=1":                         long[:64] + ": is not a parameter of the page; it has: type, namespace, name, verdict, health, enabled, page, explain",
		"type=+prometheus+&name=&page=":     "",
		"page=1000000&explain=a/b&type=%00": "",
	} {
		_, wrong := Parse(parameters(query))
		var said []string
		for _, w := range wrong {
			said = append(said, w.Field+": "+w.Message)
		}
		if got := strings.Join(said, "; "); got != want {
			t.Errorf("%.40q: %s\nwant %s", query, got, want)
		}
	}
	if _, wrong := Parse(parameters(strings.Repeat("x=1&", 100))); len(wrong) != 20 {
		t.Errorf("%d mistakes are told, want the first 20", len(wrong))
	}
	if q, _ := Parse(parameters("type=+prometheus+")); q.Type != "prometheus" {
		t.Errorf("the type is %q", q.Type)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "type=a&namespace=b&name=c&verdict=verified&health=unchecked&enabled=true&page=7&explain=a/b", "type=&type=", "x", "page=999999999999999999999", "explain=%2f%2f", "%ff=%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, wrong := Parse(parameters(s))
		if len(wrong) > 20 {
			t.Errorf("%d mistakes", len(wrong))
		}
		if len(wrong) > 0 || strings.ContainsRune(fmt.Sprint(q), '\uFFFD') {
			return
		}
		again, wrong := Parse(parameters(strings.TrimPrefix(strings.TrimPrefix(string(q.link()), "?"), ".")))
		if q.Number == 1 {
			q.Number = 0
		}
		if len(wrong) > 0 || again != q {
			t.Errorf("%q is %+v; its link is %+v, %v", s, q, again, wrong)
		}
	})
}
