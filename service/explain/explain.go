// Package explain answers why a Kubernetes Service is a toolset or not, in a document for
// people: which rules were considered and what spoke for and against each, which port was
// chosen, what annotations and overrides do, whether it is an alias or the primary, how it
// is, and what would change the answer.
//
// It decides nothing. It puts into words what package detect and the catalogue have decided.
// [Explain] makes the [Document]; [Document.Text] renders it for a terminal.
package explain

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// A Document explains one Service. transport/api/openapi.yaml describes its members.
type Document struct {
	Service     service.Key  `json:"service"`
	Listed      bool         `json:"listed"`
	Outcome     string       `json:"outcome"`
	Type        string       `json:"type,omitempty"`
	Toolset     string       `json:"toolset,omitempty"`
	Endpoint    string       `json:"endpoint,omitempty"`
	Enabled     *bool        `json:"enabled,omitempty"`
	Steps       []Step       `json:"steps"`
	OtherRules  int          `json:"otherRules"`
	Annotations []Annotation `json:"annotations"`
	Overrides   []Override   `json:"overrides"`
	AliasOf     *AliasOf     `json:"aliasOf,omitempty"`
	Aliases     []string     `json:"aliases,omitempty"`
	Primary     *Primary     `json:"primary,omitempty"`
	Health      *Health      `json:"health,omitempty"`
	// Identity and Asked say what the back end answered when it was asked who it is.
	Identity *Identity `json:"identity,omitempty"`
	Asked    []Asked   `json:"asked"`
	Change   []Change  `json:"change"`
}

// A Step says what was found out about one rule.
type Step struct {
	Rule    string         `json:"rule"`
	Outcome detect.Outcome `json:"outcome"`
	For     []string       `json:"for"`
	Against []string       `json:"against"`
	Ports   []Port         `json:"ports"`
}

// A Port says what a rule makes of a port of the Service.
type Port struct {
	Port   string `json:"port"`
	Chosen bool   `json:"chosen"`
	Text   string `json:"text"`
}

// An Annotation says what an annotation does, or why it does nothing.
type Annotation struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Label   bool   `json:"label,omitempty"`
	Effect  string `json:"effect,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// An Override says what an entry of the administrator's overrides does.
type Override struct {
	Entry   string   `json:"entry"`
	Changes []string `json:"changes"`
	Effect  string   `json:"effect"`
}

// An AliasOf says of which toolset a Service is another name, and why.
type AliasOf struct {
	Toolset string `json:"toolset"`
	Reason  string `json:"reason"`
}

// A Primary says which toolset a lookup by the type finds, and why.
type Primary struct {
	Toolset string `json:"toolset"`
	Is      bool   `json:"is"` // it is the toolset of this Service
	Reason  string `json:"reason"`
}

// Health is the outcome of the last health check.
type Health struct {
	Healthy   bool    `json:"healthy"`
	Reason    string  `json:"reason"`
	CheckedAt *string `json:"checkedAt"`
	Checks    string  `json:"checks"` // what is called
}

// Identity is what a back end has said itself about what it is.
type Identity struct {
	Verdict  service.Verdict `json:"verdict"`
	Product  string          `json:"product,omitempty"`
	Version  string          `json:"version,omitempty"`
	Evidence []string        `json:"evidence,omitempty"`
	At       *string         `json:"at,omitempty"`
}

// Asked is a request that was sent to a back end to find out what it is, and the answer.
type Asked struct {
	Request string `json:"request"`
	Answer  string `json:"answer"`
}

// A Change says how to get another outcome. Most have annotations or an override.
type Change struct {
	// How is what to do: a command, or an entry for the overrides.
	How string `json:"how"`
	// Effect is what follows from it.
	Effect  string `json:"effect"`
	Caution string `json:"caution,omitempty"`
	// Annotations are those to set; null removes one. For programs.
	Annotations map[string]*string `json:"annotations,omitempty"`
	// Override is the entry to add to the list toolsets of the overrides.
	Override string `json:"override,omitempty"`
}

// Explain explains a Service that exists.
func Explain(key service.Key, x *detect.Explanation, f *catalogue.Facts) *Document {
	d := &Document{Service: key, OtherRules: x.Silent, Steps: []Step{}, Annotations: []Annotation{}, Overrides: []Override{}, Asked: []Asked{}, Change: []Change{}}
	for _, s := range x.Steps {
		st := Step{s.Kind, s.Outcome, orEmpty(s.For), orEmpty(s.Against), []Port{}}
		for _, p := range s.Ports {
			st.Ports = append(st.Ports, Port(p))
		}
		d.Steps = append(d.Steps, st)
	}
	for _, n := range x.Annotations {
		d.Annotations = append(d.Annotations, Annotation(n))
	}
	d.place(f)
	d.identity(f)
	d.overrides(f)
	d.Outcome = d.outcome(x, f)
	d.changes(x, f)
	return d
}

// JSON returns the document as JSON, followed by a newline. URLs stay readable, as it is
// never embedded in HTML.
func (d *Document) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(d)
	return b.Bytes(), err
}

// NotWatched explains a Service, which may exist or not, in a namespace that the service
// does not look into. watched are those that it does.
func NotWatched(key service.Key, watched []string) *Document {
	d := &Document{Service: key, Steps: []Step{}, Annotations: []Annotation{}, Overrides: []Override{}, Asked: []Asked{}, Change: []Change{}}
	d.Outcome = fmt.Sprintf("It is not listed: this service looks only into the %s (setting --namespaces), and not into %s.", namespaces(watched), key.Namespace)
	d.Change = []Change{{
		How:    "--namespaces=" + strings.Join(append(slices.Clone(watched), key.Namespace), ","),
		Effect: "The namespace is read, and its Services are listed if they are back ends. The service needs the right to list and watch Services there.",
	}}
	return d
}

func namespaces(watched []string) string {
	if len(watched) == 1 {
		return "namespace " + watched[0]
	}
	return "namespaces " + strings.Join(watched, ", ")
}

func orEmpty(s []string) []string { return append([]string{}, s...) }

// place fills what the current snapshot and the health checks say.
func (d *Document) place(f *catalogue.Facts) {
	if f.Place == nil || f.Backend == nil {
		return
	}
	p, b := f.Place, f.Backend
	d.Listed, d.Type, d.Toolset, d.Endpoint, d.Enabled = true, b.Type, p.Toolset.String(), b.Endpoint+b.APIPath, &b.Enabled
	for _, a := range p.Aliases {
		if a != d.Service {
			d.Aliases = append(d.Aliases, a.String())
		}
	}
	if p.Alias {
		d.AliasOf = &AliasOf{p.Toolset.String(), p.WhyAlias}
	}
	d.Primary = &Primary{p.Primary.String(), p.Primary == p.Toolset, p.WhyPrimary}
	d.Health = healthOf(b, &f.Health, f.Checked)
}

func healthOf(b *service.Backend, h *service.Health, checked bool) *Health {
	out := &Health{Healthy: h.Healthy, Reason: h.Reason, Checks: "a connection to " + b.Probe.Address}
	if b.Probe.Kind == service.ProbeHTTP {
		out.Checks = "GET " + b.Probe.URL
	}
	switch {
	case !checked:
		out.Reason = "health is not checked here"
	case h.CheckedAt.IsZero() && h.Reason == "":
		out.Reason = "not checked yet"
	}
	out.CheckedAt = timeOf(h.CheckedAt)
	return out
}

func timeOf(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := snapshot.FormatTime(t)
	return &s
}

// identity fills what the back end was asked about itself, and what it has said.
func (d *Document) identity(f *catalogue.Facts) {
	i := &f.Identity
	if len(f.Question.URLs) == 0 && i.Verdict == "" {
		return
	}
	d.Identity = &Identity{cmp.Or(i.Verdict, service.Unverified), i.Product, i.Version, i.Evidence, timeOf(i.At)}
	who := "who it is"
	if len(f.Question.URLs) > 0 {
		who += ", at " + strings.Join(f.Question.URLs, ", ")
	}
	for _, e := range i.Evidence {
		if request, answer, found := requestIn(e); found {
			d.Asked = append(d.Asked, Asked{request, answer})
		} else {
			d.Asked = append(d.Asked, Asked{who, e})
		}
	}
	if len(i.Evidence) == 0 && i.At.IsZero() {
		d.Asked = append(d.Asked, Asked{who, "it has not been asked yet"})
	}
}

// requestIn splits evidence such as "GET /api/health answered 404".
func requestIn(evidence string) (request, answer string, ok bool) {
	for _, verb := range []string{" is answered ", " answered "} {
		if before, after, found := strings.Cut(evidence, verb); found && strings.HasPrefix(before, "GET ") {
			return before, strings.TrimPrefix(verb, " is")[1:] + after, true
		}
	}
	return "", "", false
}

// overrides fills what the administrator's overrides say.
func (d *Document) overrides(f *catalogue.Facts) {
	for _, m := range f.Overrides {
		o := Override{Entry: m.At, Changes: m.Changes}
		switch {
		case f.Backend == nil:
			o.Effect = "changes nothing: an entry without add: true changes what is listed, and this Service is not"
		case d.AliasOf != nil && slices.Equal(m.Changes, []string{"disable: true"}):
			o.Effect = "changes nothing: the Service is an alias of " + d.AliasOf.Toolset + ", which stays; name that one to switch it off"
		default:
			o.Effect = "applies to this toolset, and has precedence over rules and annotations"
		}
		d.Overrides = append(d.Overrides, o)
	}
	for _, a := range f.Added {
		d.Overrides = append(d.Overrides, Override{Entry: a.String(), Changes: []string{"add: true"}, Effect: "adds a toolset whose URL leads to this Service"})
	}
}

// outcome returns the answer in a sentence or two.
func (d *Document) outcome(x *detect.Explanation, f *catalogue.Facts) string {
	switch {
	case d.AliasOf != nil:
		return fmt.Sprintf("It is another name of the toolset %s, of the type %s: both lead to the same pods and port. That one is the toolset because %s.", d.Toolset, d.Type, d.AliasOf.Reason)
	case d.Listed && !*d.Enabled && f.Identity.Verdict == service.Refuted && !f.Backend.Fixed.Enabled:
		return fmt.Sprintf("It is listed as the toolset %s, of the type %s, but agents are not told of it: when it was asked who it is, it answered as something else.", d.Toolset, d.Type)
	case d.Listed && !*d.Enabled:
		return fmt.Sprintf("It is listed as the toolset %s, of the type %s, but the administrator's overrides switch it off, so that agents are not told of it.", d.Toolset, d.Type)
	case d.Listed && f.Candidate:
		return fmt.Sprintf("It is listed as the toolset %s, of the type %s, at %s: its metadata are not enough for that, but it was asked and has said what it is.", d.Toolset, d.Type, d.Endpoint)
	case d.Listed && x.Result.Backend == nil:
		return fmt.Sprintf("It was changed a moment ago, and is still listed as the toolset %s. By what it is now it will not be.", d.Toolset)
	case d.Listed && x.Result.Backend != nil && f.Identity.Verdict == service.Verified && x.Result.Backend.Type != d.Type && !f.Backend.Fixed.Type:
		return fmt.Sprintf("It is listed as the toolset %s, of the type %s, at %s: its metadata say %s, but it was asked and has said what it is.", d.Toolset, d.Type, d.Endpoint, x.Result.Backend.Type)
	case d.Listed:
		return fmt.Sprintf("It is listed as the toolset %s, of the type %s, at %s.", d.Toolset, d.Type, d.Endpoint)
	case x.Result.Backend != nil:
		return fmt.Sprintf("It is not listed yet, but it is of the type %s, and is listed as soon as the service has read it. POST /api/v1/discover?wait=5s does that now.", x.Result.Backend.Type)
	}
	s := "It is not listed: " + whyNot(x) + "."
	switch {
	case f.Candidate && f.Identity.At.IsZero():
		s += " It may be a back end all the same, so it will be asked who it is, and listed if its answer proves it."
	case f.Candidate && f.Identity.Access.Scheme == "":
		s += " It may be a back end all the same, and was asked who it is, but nothing has answered yet."
	case f.Candidate:
		s += " It was asked who it is, but its answer did not prove that it is a back end."
	case x.Result.Candidate != nil:
		s += " It may be a back end all the same: a running service with --identify=candidates, the default, asks it who it is, and lists it if its answer proves it."
	}
	return s
}

// whyNot returns why a Service is no back end.
func whyNot(x *detect.Explanation) string {
	switch rejected := x.Result.Rejected; {
	case strings.HasPrefix(rejected, "looks like "):
		return "it " + rejected
	case rejected != "":
		return rejected
	case len(x.Steps) > 0:
		return "something hints at " + x.Steps[0].Kind + ", but that is not enough"
	}
	return "nothing in its selector, labels, name or ports says that it is a back end of a kind that the rules know"
}
