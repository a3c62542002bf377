package page

import (
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// A meter is a number of back ends, divided into shares.
type meter struct {
	Title  string
	Shares []share
	Text   string // for those who can't see it
	// Apart is a number that is no part of the meter; nil if there is none.
	Apart *share
}

// A share is a part of a meter, which is 100 wide.
type share struct {
	Badge    badge
	N        int
	Count    string
	Link     link
	X, Width string
}

func newMeter(title string, total int, shares []share) meter {
	m := meter{Title: title}
	var text []string
	x := 0.0
	for _, s := range shares {
		s.Count = format.Grouped(s.N)
		width := 0.0
		if total > 0 {
			width = 100 * float64(s.N) / float64(total)
		}
		s.X, s.Width = fmt.Sprintf("%.3f", x), fmt.Sprintf("%.3f", width)
		x += width
		text = append(text, s.Count+" "+s.Badge.Word)
		m.Shares = append(m.Shares, s)
	}
	m.Text = strings.Join(text, ", ")
	return m
}

// verdictShares returns a share for each verdict of those that are listed. Verdicts that none can
// have are left out: whether back ends are asked is one setting for all.
func verdictShares(of map[string]int, total int) (all []share) {
	unasked := total > 0 && of[Unasked] == total
	for _, v := range verdicts {
		if of[v] == 0 && (unasked || v == Unasked || v == Candidates) {
			continue
		}
		all = append(all, share{Badge: verdictBadge(v), N: of[v], Link: Query{Verdict: v}.link()})
	}
	return all
}

func (o *overview) meters(candidates int) []meter {
	identity := verdictShares(o.verdicts, o.total)
	var health []share
	for _, h := range healths {
		health = append(health, share{Badge: healthBadge(h), N: o.healths[h], Link: Query{Health: h}.link()})
	}
	both := []meter{newMeter("Identity", o.total, identity), newMeter("Health", o.total, health)}
	if candidates > 0 {
		both[0].Apart = &share{Badge: candidateBadge, Count: format.Grouped(candidates), Link: Query{Verdict: Candidates}.link()}
	}
	return both
}

// A typeView is a kind of back end, with the number of those of each verdict.
type typeView struct {
	Name, Count string
	Link        link
	Current     bool // it is the type that is shown
	Meter       meter
}

func (t *typeCount) view(q *Query) typeView {
	v := typeView{Name: format.Cut(t.name, 60), Count: format.Grouped(t.total), Link: Query{Type: t.name}.link(), Current: q.Type == t.name}
	if v.Current { // once more for all types
		v.Link = Query{}.link()
	}
	v.Meter = newMeter(v.Name, t.total, verdictShares(t.verdicts, t.total))
	return v
}

// choices is a field of the filter in which one of several values is chosen.
type choices struct {
	Label, Name string
	Options     []option
}

type option struct {
	Value, Text string
	Selected    bool
}

func (o *overview) selects(q *Query) []choices {
	types := choices{Label: "Type", Name: "type", Options: []option{{Text: "any"}}}
	known := q.Type == ""
	for i, t := range o.types {
		if i == maxChoices {
			break
		}
		types.Options = append(types.Options, option{t.name, format.Cut(t.name, 60), t.name == q.Type})
		known = known || t.name == q.Type
	}
	if !known {
		types.Options = append(types.Options, option{q.Type, format.Cut(q.Type, 60), true})
	}
	return []choices{
		types,
		fixed("Identity", "verdict", q.Verdict, verdicts, []string{"verified", "refuted", "unverified", "not asked", "candidate"}),
		fixed("Health", "health", q.Health, healths, []string{"healthy", "unhealthy", "not checked"}),
		fixed("Enabled", "enabled", q.Enabled, booleans, []string{"yes", "no"}),
	}
}

func fixed(label, name, selected string, values, texts []string) choices {
	c := choices{Label: label, Name: name, Options: []option{{Text: "any"}}}
	for i, v := range values {
		c.Options = append(c.Options, option{v, texts[i], v == selected})
	}
	return c
}

// A fact is one thing about the service itself.
type fact struct {
	Name  string
	Value []string // in pieces between which a line may end
	Note  string
	Time  stamp
	Class string // good, bad, warn; empty for neither
}

func (p *Page) facts(snap *snapshot.Snapshot, s *State) []fact {
	cluster := fact{Name: "Cluster", Value: breakable(format.Cut(s.Cluster.Name, maxText)), Note: "can be read", Class: "good"}
	if n := s.Cluster.Namespaces; len(n) > 0 {
		cluster.Note = "can be read; only the namespaces " + format.Cut(strings.Join(n, ", "), maxText)
	}
	switch {
	case s.Cluster.Problem != "":
		cluster.Class, cluster.Note, cluster.Time = "bad", "can't be read since", p.stamp(s.Cluster.Since)
	case s.Cluster.Name == "":
		cluster.Value, cluster.Note = []string{"can be read"}, ""
	}
	all := []fact{cluster, {Name: "Snapshot", Value: []string{age(p.now().Sub(snap.BuiltAt)) + " old"}, Note: "last change in the cluster", Time: p.stamp(snap.DiscoveredAt())}}
	if s.ConfigMap.Name != "" {
		all = append(all, p.configMap(snap, &s.ConfigMap))
	} else {
		all = append(all, fact{Name: "ConfigMap", Value: []string{"none is written"}})
	}
	if l := &s.Leader; l.Self != "" {
		f := fact{Name: "Leader", Value: breakable(format.Cut(l.Holder, maxText)), Note: "leads; this replica stands by"}
		switch {
		case l.Leads:
			f.Value, f.Note, f.Class = []string{"this replica"}, "holds the lease as "+format.Cut(l.Self, maxText), "good"
		case l.Vacant != "":
			f.Value, f.Note, f.Class = []string{"no replica"}, format.Cut(l.Vacant, maxText), "warn"
		case l.Holder == "":
			f.Value, f.Note = []string{"no replica"}, "the lease is vacant for a moment"
		}
		all = append(all, f)
	}
	return append(all, overridesFact(&s.Overrides), versionFact(s))
}

func versionFact(s *State) fact {
	f := fact{Name: "Version", Value: breakable(format.Cut(s.Version, maxText))}
	if s.Replica != "" {
		f.Note = "served by " + format.Cut(s.Replica, maxText)
	}
	return f
}

func (p *Page) configMap(snap *snapshot.Snapshot, c *ConfigMap) fact {
	f := fact{Name: "ConfigMap", Value: breakable(format.Cut(c.Name, maxText))}
	version := "not written yet"
	if snap.ConfigMapVersion != "" {
		version, f.Class = "version "+format.Cut(snap.ConfigMapVersion, 60), "good"
	}
	f.Note = version
	if c.Outcome != "" {
		f.Note, f.Time = version+"; last attempt here: "+c.Outcome+",", p.stamp(c.At)
	}
	if c.Failed {
		f.Class = "bad"
	}
	return f
}

func overridesFact(o *Overrides) fact {
	f := fact{Name: "Overrides", Value: []string{"none"}}
	switch {
	case len(o.Mistakes) > 0:
		f.Value, f.Note, f.Class = []string{"ignored"}, counted(len(o.Mistakes), "mistake"), "bad"
	case o.Present && len(o.Unmatched) > 0:
		f.Value, f.Note, f.Class = []string{"in force"}, fmt.Sprintf("%d of them without effect", len(o.Unmatched)), "warn"
	case o.Present:
		f.Value, f.Class = []string{"in force"}, "good"
	}
	return f
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return format.Grouped(n) + " " + what + "s"
}

// An alert is something about the service that somebody should look at.
type alert struct {
	Class, Title string
	Text         string
	Lines        []string
	Beyond       int
}

func (p *Page) alerts(s *State) (all []alert) {
	if s.Cluster.Problem != "" {
		all = append(all, alert{Class: "bad", Title: "The cluster can't be read; what you see is the last state", Text: format.Cut(s.Cluster.Problem, maxText)})
	}
	if s.ConfigMap.Failed {
		all = append(all, alert{Class: "bad", Title: "The ConfigMap could not be written",
			Text: "The last attempt ended with " + s.ConfigMap.Outcome + "; the service's log has the cause. Agents read what was written before."})
	}
	if len(s.Overrides.Mistakes) > 0 {
		a := alert{Class: "bad", Title: "All overrides are ignored until their mistakes are put right"}
		var lines []string
		for _, m := range s.Overrides.Mistakes {
			lines = append(lines, strings.TrimPrefix(m.Field+": ", ": ")+m.Message)
		}
		a.Lines, a.Beyond = cut(lines, maxMistakes)
		all = append(all, a)
	}
	if len(s.Overrides.Unmatched) > 0 {
		a := alert{Class: "warn", Title: "Overrides without effect"}
		a.Lines, a.Beyond = cut(s.Overrides.Unmatched, maxMistakes)
		all = append(all, a)
	}
	return all
}
