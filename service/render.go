package service

import (
	"bytes"
	"encoding/json"
	"slices"
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
	backend *Backend // what it was made of
	name    string   // the toolset's name, unique in its namespace
	core    []byte   // the toolset without times: what a watcher would call a change
	primary bool     // of its type
	pinned  bool     // primary by an administrator
	down    bool     // has failed all checks of late: see Health.down
	toolset part
	service part
	single  Body // the answer to a lookup by name, with the health history
	tool    []byte
}

func render(b *Backend, name string, h *Health, discovered time.Time) *rendered {
	reason := h.Reason
	if h.CheckedAt.IsZero() && reason == "" {
		reason = notChecked
	}
	t := toolsetJSON{
		Name: name, Namespace: b.Key.Namespace, Type: b.Type, Description: b.Description,
		Enabled: b.Enabled, Healthy: h.Healthy, HealthReason: reason,
		Config:          map[string]string{"url": b.Endpoint + b.APIPath},
		ServiceEndpoint: b.Endpoint,
		DiscoveredAt:    FormatTime(discovered),
	}
	core := t
	core.HealthReason = "" // it tells latencies and counts attempts: not a change
	r := &rendered{backend: b, name: name, primary: b.Primary, pinned: b.Pinned, down: h.down(), core: marshal(core)}
	t.LastHealthCheck = optionalTime(h.CheckedAt)
	r.toolset = newPart(b, h, marshal(t))
	t.HealthHistory = inUTC(h.History)
	r.single = newBody(marshal(t))
	r.service = newPart(b, h, marshal(serviceJSON{
		Name: b.Key.Name, Namespace: b.Key.Namespace, Type: b.Type, Endpoint: b.Endpoint,
		Healthy: h.Healthy, HealthReason: reason,
		Labels: orEmpty(b.Labels), Annotations: orEmpty(b.Annotations), Evidence: append([]string{}, b.Evidence...),
		DiscoveredAt: t.DiscoveredAt, LastCheck: t.LastHealthCheck,
	}))
	r.tool = marshal(newTool(b, name))
	return r
}

// inUTC copies checks with their times as the API has them.
func inUTC(checks []HealthCheck) []HealthCheck {
	out := slices.Clone(checks)
	for i := range out {
		out[i].Time = out[i].Time.UTC().Truncate(time.Millisecond)
	}
	return out
}

func newPart(b *Backend, h *Health, json []byte) part {
	p := part{namespace: b.Key.Namespace, kind: b.Type, enabled: b.Enabled, healthy: h.Healthy}
	p.json = append(append(make([]byte, 0, len(json)+1), ','), json...)
	p.deflated = deflatePart(p.json)
	return p
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
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // the types above always marshal
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
