package service

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// toolsetJSON is a toolset as the HTTP API shows it.
type toolsetJSON struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace"`
	Type            string            `json:"type"`
	Description     string            `json:"description"`
	Enabled         bool              `json:"enabled"`
	Healthy         bool              `json:"healthy"`
	HealthReason    string            `json:"healthReason"`
	Config          map[string]string `json:"config"`
	ServiceEndpoint string            `json:"serviceEndpoint"`
	DiscoveredAt    string            `json:"discoveredAt"`
	LastHealthCheck *string           `json:"lastHealthCheck"`
	HealthHistory   []HealthCheck     `json:"healthHistory,omitempty"`
}

// serviceJSON is a discovered Service as the HTTP API shows it.
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
}

const notChecked = "not checked yet"

// FormatTime writes t as the API has it: RFC 3339, UTC, whole milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := FormatTime(t)
	return &s
}

// rendered is everything that one backend contributes to a snapshot. It is
// made anew when the backend, its name or its health changes, and shared by
// all the snapshots in between.
type rendered struct {
	backend    *Backend // what it was made of
	discovered time.Time
	name       string // the toolset's name, unique in its namespace
	healthy    bool
	primary    bool // of its type
	down       bool // has failed all checks of late: see Health.down
	toolset    *part
	service    *part  // nil if it is not a Service's
	single     Body   // the answer to a lookup by name, with the health history
	tool       []byte // its entry in the generated document
	entry      *part  // the same; nil if it is switched off
	fragment   *fragment
}

// sameToWatchers reports whether r shows nothing that a watcher would call a
// change from o: times, latencies and numbers of attempts are none.
func (r *rendered) sameToWatchers(o *rendered) bool {
	return r == o || r.name == o.name && r.healthy == o.healthy && r.discovered.Equal(o.discovered) &&
		(r.backend == o.backend || r.backend.Key.Namespace == o.backend.Key.Namespace && r.backend.Type == o.backend.Type &&
			r.backend.Description == o.backend.Description && r.backend.Enabled == o.backend.Enabled &&
			r.backend.Endpoint == o.backend.Endpoint && r.backend.APIPath == o.backend.APIPath)
}

// render renders m. What did not change is taken over from what m was before.
func render(m *member) *rendered {
	b, h, old := m.backend, &m.health, m.rendered
	reason := h.Reason
	if h.CheckedAt.IsZero() && reason == "" {
		reason = notChecked
	}
	t := toolsetJSON{
		Name: m.name, Namespace: b.Key.Namespace, Type: b.Type, Description: b.Description,
		Enabled: b.Enabled, Healthy: h.Healthy, HealthReason: reason,
		Config:          map[string]string{"url": b.Endpoint + b.APIPath},
		ServiceEndpoint: b.Endpoint,
		DiscoveredAt:    FormatTime(m.discovered),
		LastHealthCheck: optionalTime(h.CheckedAt),
	}
	r := &rendered{backend: b, discovered: m.discovered, name: m.name, healthy: h.Healthy, primary: b.Primary, down: h.down()}
	key := Key{b.Key.Namespace, m.name}
	r.toolset = r.part(key, marshal(t))
	r.toolset.deflated = deflatePart(r.toolset.json)
	t.HealthHistory = inUTC(h.History)
	r.single = newBody(marshal(t))
	if !m.added {
		r.service = r.part(b.Key, marshal(serviceJSON{
			Name: b.Key.Name, Namespace: b.Key.Namespace, Type: b.Type, Endpoint: b.Endpoint,
			Healthy: h.Healthy, HealthReason: reason,
			Labels: orEmpty(b.Labels), Annotations: orEmpty(b.Annotations), Evidence: append([]string{}, b.Evidence...),
			DiscoveredAt: t.DiscoveredAt, LastCheck: t.LastHealthCheck,
		}))
		r.service.deflated = deflatePart(r.service.json)
	}
	if old != nil && old.backend == b && old.name == m.name {
		r.tool, r.entry, r.fragment = old.tool, old.entry, old.fragment
		return r
	}
	r.fragment = &fragment{}
	r.tool = marshal(newTool(b, m.name))
	if b.Enabled {
		r.entry = r.part(key, append([]byte{'\n'}, r.tool...))
		if old != nil && old.entry != nil && old.entry.key == key && bytes.Equal(old.entry.json, r.entry.json) {
			r.entry = old.entry
		}
	}
	return r
}

func (r *rendered) part(key Key, json []byte) *part {
	p := &part{key: key, kind: r.backend.Type, enabled: r.backend.Enabled, healthy: r.healthy, of: r}
	p.json = append(append(make([]byte, 0, len(json)+1), ','), json...)
	return p
}

// inUTC copies checks with their times as the API has them.
func inUTC(checks []HealthCheck) []HealthCheck {
	out := slices.Clone(checks)
	for i := range out {
		out[i].Time = out[i].Time.UTC().Truncate(time.Millisecond)
	}
	return out
}

// orEmpty makes a missing map an empty JSON object.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// marshal renders v without escaping <, > and &: the API's documents are
// never embedded in HTML, and URLs stay readable.
func marshal(v any) []byte {
	b := marshalBuffers.Get().(*bytes.Buffer)
	defer marshalBuffers.Put(b)
	b.Reset()
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // the types above always marshal
		panic(err)
	}
	// What is kept has no room to grow: there is one for each toolset.
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

var marshalBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
