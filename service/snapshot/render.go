package snapshot

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
	"kubernaut.io/dynamic-toolset/service/snapshot/internal/gzipjoin"
)

// toolsetJSON is a toolset in the HTTP API.
type toolsetJSON struct {
	Name            string                `json:"name"`
	Namespace       string                `json:"namespace"`
	Type            string                `json:"type"`
	Description     string                `json:"description"`
	Enabled         bool                  `json:"enabled"`
	Healthy         bool                  `json:"healthy"`
	HealthReason    string                `json:"healthReason"`
	Config          map[string]string     `json:"config"`
	ServiceEndpoint string                `json:"serviceEndpoint"`
	Connection      *connectionJSON       `json:"connection,omitempty"`
	DiscoveredAt    string                `json:"discoveredAt"`
	LastHealthCheck *string               `json:"lastHealthCheck"`
	Aliases         []string              `json:"aliases,omitempty"` // Services, as namespace/name
	Identity        *identityJSON         `json:"identity,omitempty"`
	Access          *accessJSON           `json:"access,omitempty"`
	HealthHistory   []service.HealthCheck `json:"healthHistory,omitempty"`
}

// serviceJSON is a discovered Service in the HTTP API.
type serviceJSON struct {
	Name         string            `json:"name"`
	Namespace    string            `json:"namespace"`
	Type         string            `json:"type"`
	Endpoint     string            `json:"endpoint"`
	Healthy      bool              `json:"healthy"`
	HealthReason string            `json:"healthReason"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	Evidence     []string          `json:"evidence"`
	DiscoveredAt string            `json:"discoveredAt"`
	LastCheck    *string           `json:"lastCheck"`
	AliasOf      string            `json:"aliasOf,omitempty"` // a toolset, as namespace/name
	Identity     *identityJSON     `json:"identity,omitempty"`
	Access       *accessJSON       `json:"access,omitempty"`
}

const notChecked = "not checked yet"

// FormatTime returns t as in the API: RFC 3339, UTC, with milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := FormatTime(t)
	return &s
}

// rendered is all that one back end contributes to snapshots. It is made again when the
// back end, its name, its aliases or its health change, and shared by all snapshots in
// between.
type rendered struct {
	backend    *service.Backend // what was rendered
	number     uint64           // of the member
	discovered time.Time
	name       string // the toolset's name, unique in its namespace
	healthy    bool
	identity   *service.Identity
	checked    bool // there was a health check
	order      order
	aliases    []service.Key // Services of the same back end
	toolset    *part         // nil for an alias; of what follows, that has service alone
	service    *part         // nil if overrides added it: there is no Service
	single     Body          // the answer to a lookup by name, with the health history
	tool       []byte        // the entry in the document for Kubernaut; nil if disabled
	fragment   *fragment
}

// key returns the key of the toolset.
func (r *rendered) key() service.Key {
	return service.Key{Namespace: r.backend.Key.Namespace, Name: r.name}
}

// sameToWatchers reports whether r and o are equal to watchers, for whom times, latencies
// and numbers of attempts don't matter.
func (r *rendered) sameToWatchers(o *rendered) bool {
	return r == o || r.name == o.name && r.healthy == o.healthy && r.discovered.Equal(o.discovered) && slices.Equal(r.aliases, o.aliases) && sameIdentity(r.identity, o.identity) &&
		(r.backend == o.backend || r.backend.Key.Namespace == o.backend.Key.Namespace && r.backend.Type == o.backend.Type &&
			r.backend.Description == o.backend.Description && r.backend.Enabled == o.backend.Enabled &&
			r.backend.Endpoint == o.backend.Endpoint && r.backend.APIPath == o.backend.APIPath && r.backend.Connection.Equal(o.backend.Connection))
}

// render renders m. It takes over from the last rendering what is the same.
func render(m *member) *rendered {
	b, h, old := m.Backend, &m.Health, m.rendered
	reason := h.Reason
	if h.CheckedAt.IsZero() && reason == "" {
		reason = notChecked
	}
	r := &rendered{backend: b, number: m.number, discovered: m.Discovered, name: m.name, healthy: h.Healthy, checked: !h.CheckedAt.IsZero()}
	if m.Identity.Verdict != "" {
		id := m.Identity // m changes
		r.identity = &id
	}
	if !m.Added {
		s := serviceJSON{
			Name: b.Key.Name, Namespace: b.Key.Namespace, Type: b.Type, Endpoint: b.Endpoint,
			Healthy: h.Healthy, HealthReason: reason,
			Labels: orEmpty(b.Labels), Annotations: orEmpty(b.Annotations), Evidence: append([]string{}, b.Evidence...),
			DiscoveredAt: FormatTime(m.Discovered), LastCheck: optionalTime(h.CheckedAt),
		}
		if m.of != nil {
			s.AliasOf = service.Key{Namespace: m.of.key.Namespace, Name: m.of.name}.String()
		}
		s.Identity, s.Access = identityOf(&m.Identity, true)
		r.service = r.part(b.Key, marshalAfter(",", s))
		r.service.deflated = gzipjoin.DeflateMember(r.service.json)
	}
	if m.of != nil {
		return r
	}
	r.order = orderOf(b, m.name, h, &m.Identity)
	t := toolsetJSON{
		Name: m.name, Namespace: b.Key.Namespace, Type: b.Type, Description: b.Description,
		Enabled: b.Enabled, Healthy: h.Healthy, HealthReason: reason,
		Config:          map[string]string{"url": b.Endpoint + b.APIPath},
		ServiceEndpoint: b.Endpoint,
		Connection:      connectionOf(b.Connection),
		DiscoveredAt:    FormatTime(m.Discovered),
		LastHealthCheck: optionalTime(h.CheckedAt),
	}
	for _, alias := range m.aliases {
		r.aliases = append(r.aliases, alias.key)
		t.Aliases = append(t.Aliases, alias.key.String())
	}
	t.Identity, t.Access = identityOf(&m.Identity, false)
	r.toolset = r.part(r.key(), marshalAfter(",", t))
	r.toolset.deflated = gzipjoin.DeflateMember(r.toolset.json)
	t.HealthHistory = inUTC(h.History)
	t.Identity, _ = identityOf(&m.Identity, true)
	r.single = newBody(marshal(t))
	access := m.Identity.Access
	if old != nil && old.toolset != nil && old.backend == b && old.name == m.name {
		// One that does not answer has not changed what it wants.
		if r.tool = old.tool; access.Scheme == "" || access == old.fragment.access {
			r.fragment = old.fragment
		} else {
			r.fragment = &fragment{access: access}
		}
		return r
	}
	r.fragment = &fragment{access: access}
	if b.Enabled {
		r.tool = marshal(kubernaut.NewTool(b, m.name))
	}
	return r
}

// The first byte of the name in an entry's key.
const (
	placePrimary byte = '0'
	placeOther   byte = '1'
)

// entry returns the entry of r in the document for Kubernaut; nil if it is disabled or an
// alias. The document is in the order of types, with the primary of each first. old is the
// entry before, which may be nil; entry returns it if it is still right.
func (r *rendered) entry(primary bool, old *part) *part {
	if r == nil || r.tool == nil {
		return nil
	}
	place := placeOther
	if primary {
		place = placePrimary
	}
	key := service.Key{Namespace: r.backend.Type, Name: string(place) + r.order.lasting()}
	if old != nil && old.key == key && old.of.order == r.order && old.of.fragment == r.fragment {
		return old
	}
	// The entry is kept for longer than r, so it must not keep all of it.
	slim := &rendered{backend: r.backend, name: r.name, order: r.order, fragment: r.fragment}
	return slim.part(key, append([]byte(",\n"), r.tool...))
}

// part returns a member of a list for r. json begins with a comma.
func (r *rendered) part(key service.Key, json []byte) *part {
	p := &part{key: key, kind: r.backend.Type, enabled: r.backend.Enabled, healthy: r.healthy, of: r, json: json}
	p.verified = r.identity != nil && r.identity.Verdict == service.Verified
	return p
}

// inUTC returns a copy of checks with the times as in the API.
func inUTC(checks []service.HealthCheck) []service.HealthCheck {
	out := slices.Clone(checks)
	for i := range out {
		out[i].Time = out[i].Time.UTC().Truncate(time.Millisecond)
	}
	return out
}

// orEmpty returns an empty map for nil, so that JSON has {} and not null.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// marshal renders v without escaping <, > and &, so that URLs stay readable. The documents
// are never embedded in HTML.
func marshal(v any) []byte { return marshalAfter("", v) }

// marshalAfter does what marshal does, and puts something before it.
func marshalAfter(before string, v any) []byte {
	b := marshalBuffers.Get().(*bytes.Buffer)
	defer marshalBuffers.Put(b)
	b.Reset()
	b.WriteString(before)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // the types above can always be marshalled
		panic(err)
	}
	// A copy without spare capacity: there is one for each toolset.
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

var marshalBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
