package page

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// A row is one back end.
type row struct {
	Key  string // namespace/name of its toolset
	Bad  bool   // somebody should look at it
	Mark uint64 // changes when something has changed that people should notice

	Name            []string // in pieces between which a line may end
	Namespace, Type string
	Disabled, Added bool
	Explain         link // to its explanation; empty if there is no Service
	URL             []string

	Verdict        badge
	Product        string // with the version
	Access         []string
	Evidence       []string
	EvidenceBeyond int
	Asked          stamp

	Health  badge
	Reason  []string // if it is not healthy, in pieces
	Latency string   // of the last check
	Checked stamp
	History []tick // the oldest first
	// HistoryWidth is that of their picture.
	HistoryWidth int
	Checks       []check

	Primary       bool
	PrimaryReason []string
	Aliases       [][]string // without the namespace, which is the same
	AliasesBeyond int
}

// A tick is a health check in the small picture of the last few.
type tick struct {
	Class string
	X     int
}

// A check is a health check in the list of the last few.
type check struct {
	At              stamp
	Badge           badge
	Reason, Latency string
}

// A toolset is what a row shows of the answer to a lookup, which says everything as agents
// get it.
type toolset struct {
	Config        struct{ URL string }
	HealthReason  string
	HealthHistory []service.HealthCheck
}

func (p *Page) row(snap *snapshot.Snapshot, i snapshot.Item) row {
	var t toolset
	if err := json.Unmarshal(i.Document().JSON, &t); err != nil { // the snapshot has rendered it
		panic(err)
	}
	key, b := i.Key(), i.Backend()
	r := row{
		Key: key.String(), Name: breakable(format.Cut(key.Name, maxText)), Namespace: format.Cut(key.Namespace, maxText), Type: format.Cut(b.Type, 60),
		Disabled: !b.Enabled, Added: i.Added(), URL: breakable(format.Cut(t.Config.URL, maxURL)),
	}
	if !r.Added {
		r.Explain = Query{Explain: b.Key}.link()
	}
	if primary, ok := snap.Primary([]byte(b.Type), nil); ok && primary == key {
		r.Primary, r.PrimaryReason = true, breakable(format.Cut(snap.PrimaryReason(b.Type), maxText))
	}
	aliases := i.Aliases()
	for _, a := range aliases[:min(len(aliases), maxAliases)] {
		r.Aliases = append(r.Aliases, breakable(format.Cut(a.Name, maxText)))
	}
	r.AliasesBeyond = len(aliases) - len(r.Aliases)
	p.health(&r, i, &t)
	id := p.identityOf(i)
	p.identity(&r, b, &id)
	r.Bad = r.Health == unhealthyBadge || r.Verdict == refutedBadge
	mark := fnv.New64a()
	for _, s := range []string{r.Health.Word, r.Verdict.Word, r.Product, b.Type, t.Config.URL} {
		mark.Write(append([]byte(s), 0)) // never fails
	}
	r.Mark = mark.Sum64()
	return r
}

func (p *Page) health(r *row, i snapshot.Item, t *toolset) {
	health := healthOf(i)
	r.Health = healthBadge(health)
	if health == Unhealthy {
		r.Reason = breakable(format.Cut(t.HealthReason, maxText))
	}
	for n, c := range t.HealthHistory[:min(len(t.HealthHistory), maxChecks)] {
		latency := format.Duration(time.Duration(c.LatencyMS * float64(time.Millisecond)))
		badge := unhealthyBadge
		if c.Healthy {
			badge = healthyBadge
		}
		if n == 0 {
			r.Checked = p.stamp(c.Time)
			if c.Healthy {
				r.Latency = latency
			}
		}
		r.Checks = append(r.Checks, check{At: p.stamp(c.Time), Badge: badge, Reason: format.Cut(c.Reason, maxLine), Latency: latency})
		r.History = append(r.History, tick{Class: badge.Class})
	}
	slices.Reverse(r.History)
	for n := range r.History {
		r.History[n].X = 8 * n
	}
	r.HistoryWidth = max(0, 8*len(r.History)-3)
}

// identity fills in what the back end has said itself.
func (p *Page) identity(r *row, b *service.Backend, id *service.Identity) {
	r.Verdict = verdictBadge(verdictOf(id))
	r.Product = format.Cut(strings.TrimSpace(id.Product+" "+id.Version), 80)
	r.Evidence, r.EvidenceBeyond = cut(id.Evidence, maxEvidence)
	r.Asked = p.stamp(id.At)
	if id.Type != "" && id.Type != b.Type {
		r.Access = append(r.Access, "answers as "+format.Cut(id.Type, 60))
	}
	switch id.Access.Auth {
	case "", service.AuthNone:
	case service.AuthLogin:
		r.Access = append(r.Access, "login page")
	case service.AuthRequired:
		r.Access = append(r.Access, "credentials needed")
	default:
		r.Access = append(r.Access, format.Cut(id.Access.Auth, 30)+" credentials")
	}
	if id.Access.Tenant {
		r.Access = append(r.Access, "tenant needed")
	}
	if id.Access.TLS == service.TLSUntrusted {
		r.Access = append(r.Access, "untrusted certificate")
	}
}

type candidateView struct {
	Namespace, Name, Type, Note string
	URL                         []string
	Badge                       badge
	Explain                     link
}

func newCandidate(c *Candidate) candidateView {
	badge := candidateBadge
	if c.Refuted {
		badge = refutedBadge
	}
	return candidateView{
		Namespace: format.Cut(c.Key.Namespace, maxText), Name: format.Cut(c.Key.Name, maxText), Type: format.Cut(strings.Join(c.Types, ", "), 60), Note: format.Cut(c.Note, maxText),
		URL: breakable(format.Cut(c.URL, maxURL)), Badge: badge, Explain: Query{Explain: c.Key}.link(),
	}
}
