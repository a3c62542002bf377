package page

import (
	"fmt"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// Bounds of what the page shows. The rest is told as a number.
const (
	rowsPerPage   = 100
	maxTypes      = 40
	maxAliases    = 8
	maxEvidence   = 8
	maxChecks     = 8
	maxMistakes   = 20
	maxCandidates = 50
	maxText       = 300 // characters of a text from outside
	maxLine       = 200 // of one of several
	maxURL        = 500
)

// A model is what the templates show. They escape its strings.
type model struct {
	Event  string // up to which change of the event stream the page is up to date
	Alerts []alert
	Total  string // of all back ends
	Off    int    // those that are disabled
	Meters []meter
	Facts  []fact
	Types  []typeView
	// TypesBeyond is how many types are left out.
	TypesBeyond int
	Query       Query
	Explains    bool   // Services can be explained
	Explained   string // what the search for a Service has in it
	Filtered    bool
	Clear       link // to the page without filters
	Selects     []choices
	Namespaces  []string
	Rows        []row
	List        pager
	Candidates  []candidateView
	// Unlisted is how many candidates are left out, and Unsearched how many of them no query
	// finds. Only means that the list has candidates, and no back ends.
	Unlisted, Unsearched int
	Only                 bool
	Explanation          *explanation
	Built                stamp
	Version              string
}

func (m *model) title() string {
	if m.Explained != "" {
		return m.Explained + " - Dynamic Toolset Service"
	}
	return "Dynamic Toolset Service"
}

// total says how many back ends there are.
func (m *model) total() string {
	if m.Off > 0 {
		return fmt.Sprintf("%s listed, %d of them disabled", m.Total, m.Off)
	}
	return m.Total + " listed"
}

// count says how many back ends the query chooses.
func (m *model) count() string {
	one, many, total := "back end", "back ends", m.List.Total
	if m.Only {
		one, many = "candidate", "candidates"
	}
	text := m.List.TotalText
	if m.Only || m.Filtered {
		text, total = text+" of "+m.List.OfText, m.List.Of
	}
	if total == 1 {
		return text + " " + one
	}
	return text + " " + many
}

// A badge is a word for a state. Its colour repeats what the word and the icon say.
type badge struct{ Class, Icon, Word string }

var (
	verifiedBadge   = badge{"good", "check", "verified"}
	refutedBadge    = badge{"bad", "cross", "refuted"}
	unverifiedBadge = badge{"none", "dash", "unverified"}
	unaskedBadge    = badge{"none", "ring", "not asked"}
	candidateBadge  = badge{"info", "question", "candidate"}
	healthyBadge    = badge{"good", "dot", "healthy"}
	unhealthyBadge  = badge{"bad", "alert", "unhealthy"}
	uncheckedBadge  = badge{"none", "ring", "not checked"}
)

func verdictBadge(verdict string) badge {
	switch verdict {
	case string(service.Verified):
		return verifiedBadge
	case string(service.Refuted):
		return refutedBadge
	case string(service.Unverified):
		return unverifiedBadge
	case Unasked:
		return unaskedBadge
	case Candidates:
		return candidateBadge
	}
	return badge{"none", "dash", format.Cut(verdict, 30)}
}

func healthBadge(health string) badge {
	switch health {
	case Healthy:
		return healthyBadge
	case Unhealthy:
		return unhealthyBadge
	}
	return uncheckedBadge
}

// A stamp is a time, as people and as programs read it.
type stamp struct {
	Age   string // "12 s ago"
	Clock string // "15:04:05 UTC", with the date if it is another day
	Exact string // RFC 3339
}

func (p *Page) stamp(t time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	now, clock := p.now().UTC(), "15:04:05 UTC"
	if t = t.UTC(); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		clock = "2006-01-02 " + clock
	}
	return stamp{Age: age(now.Sub(t)) + " ago", Clock: t.Format(clock), Exact: snapshot.FormatTime(t)}
}

// age formats how long ago something was. Nobody needs it more exactly.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func (p *Page) model(snap *snapshot.Snapshot, state *State, q *Query, found any) (*model, error) {
	o := p.overviewOf(snap)
	m := &model{
		Event:  snap.EventID(snap.Sequence()),
		Alerts: p.alerts(state), Total: format.Grouped(o.total), Off: o.disabled, Meters: o.meters(len(state.Candidates) + state.Unlisted), Facts: p.facts(snap, state),
		Query: *q, Filtered: q.filters(), Clear: Query{}.link(), Selects: o.selects(q), Namespaces: o.namespaces,
		Explains: state.Explains, Built: p.stamp(p.now()), Version: format.Cut(state.Version, maxText),
	}
	for i, t := range o.types {
		if i == maxTypes {
			m.TypesBeyond = len(o.types) - maxTypes
			break
		}
		m.Types = append(m.Types, t.view(q))
	}
	m.Rows, m.List = p.list(snap, q)
	m.candidates(state, q)
	if q.Explain != (service.Key{}) {
		m.Explained = q.Explain.String()
		e, err := explain(q, found)
		if err != nil {
			return nil, err
		}
		m.Explanation = e
	}
	return m, nil
}

// candidates fills in those that q chooses: a few below the back ends, or all, instead of
// back ends, if it chooses only these.
func (m *model) candidates(state *State, q *Query) {
	var chosen []*Candidate
	for i := range state.Candidates {
		if c := &state.Candidates[i]; q.admitsCandidate(c) {
			chosen = append(chosen, c)
		}
	}
	from, to := 0, min(len(chosen), maxCandidates)
	if m.Only = q.Verdict == Candidates; m.Only {
		m.List = newPager(q, len(chosen), len(state.Candidates)+state.Unlisted)
		from, to = max(0, m.List.From-1), m.List.To
	}
	for _, c := range chosen[from:to] {
		m.Candidates = append(m.Candidates, newCandidate(c))
	}
	if m.Unsearched = state.Unlisted; !m.Only {
		m.Unlisted = len(chosen) - to
	}
}

// A pager says which part of the list is shown, and leads to the others.
type pager struct {
	Total, Of          int // what the query chooses, of all
	From, To           int // as people count
	Number, Pages      int
	First, Prev        link // empty on the first page
	Next, Last         link // empty on the last page
	TotalText, OfText  string
	FromText, LastText string
}

// list returns the rows of the page of the list that q wants. Only these are drawn.
func (p *Page) list(snap *snapshot.Snapshot, q *Query) ([]row, pager) {
	number := max(1, q.Number)
	from := (number - 1) * rowsPerPage
	var shown []snapshot.Item
	var tail []snapshot.Item // the last page, in case the one that is wanted is beyond it
	n, all := 0, 0
	for i := range snap.Items() {
		all++
		if !q.admits(i, p.verdictOf(i)) {
			continue
		}
		if n%rowsPerPage == 0 {
			tail = tail[:0]
		}
		tail = append(tail, i)
		if n >= from && n < from+rowsPerPage {
			shown = append(shown, i)
		}
		n++
	}
	l := newPager(q, n, all)
	if l.Number != number {
		shown = tail
	}
	rows := make([]row, len(shown))
	for i, item := range shown {
		rows[i] = p.row(snap, item)
	}
	return rows, l
}

// newPager returns the pager for the page that q wants of n rows. If that is beyond the last,
// since back ends may be gone since the link was made, it is that of the last.
func newPager(q *Query, n, all int) pager {
	pages := max(1, (n+rowsPerPage-1)/rowsPerPage)
	number := min(max(1, q.Number), pages)
	from := (number - 1) * rowsPerPage
	l := pager{Total: n, Of: all, From: min(n, from+1), To: min(n, from+rowsPerPage), Number: number, Pages: pages,
		TotalText: format.Grouped(n), OfText: format.Grouped(all)}
	l.FromText, l.LastText = format.Grouped(l.From), format.Grouped(l.To)
	if number > 1 {
		l.First, l.Prev = q.at(1), q.at(number-1)
	}
	if number < pages {
		l.Next, l.Last = q.at(number+1), q.at(pages)
	}
	return l
}

// cut cuts texts from outside, and returns how many are left out.
func cut(texts []string, most int) (out []string, beyond int) {
	for i, t := range texts {
		if i == most {
			return out, len(texts) - most
		}
		out = append(out, format.Cut(t, maxLine))
	}
	return out, 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// breakable divides a URL or a name into pieces between which a line may end. What follows
// the namespace in the name of a Service stays together, with the port.
func breakable(s string) (pieces []string) {
	from := 0
	for i := range len(s) - 1 {
		switch next := s[i+1]; s[i] {
		case '/', '?', '&', '=', ',':
			if next == '/' {
				continue // "//" stays together
			}
		case '.', '-', '_':
			if i > 0 && isDigit(s[i-1]) && isDigit(next) {
				continue // an IP address or a version
			}
			if strings.HasSuffix(s[:i+1], ".svc.") || strings.HasSuffix(s[:i+1], ".svc.cluster.") {
				continue
			}
		default:
			continue
		}
		if i-from >= 3 && len(s)-i > 3 {
			pieces = append(pieces, s[from:i+1])
			from = i + 1
		}
	}
	return append(pieces, s[from:])
}
