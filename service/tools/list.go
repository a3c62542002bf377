package tools

import (
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

const (
	listed     = 50  // back ends in an answer, unless the agent wants more or less
	mostListed = 200 // back ends in an answer
)

// A listing is the answer of list_backends.
type listing struct {
	Backends []entry `json:"backends"`
	Total    int     `json:"total"` // of those that the arguments select
	Continue string  `json:"continue,omitempty"`
	Note     string  `json:"note,omitempty"` // why there are none, if an argument may be wrong
	warning
}

// An entry is one back end of a listing.
type entry struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Type      string `json:"type"`
	Verified  bool   `json:"verified"`
	Healthy   *bool  `json:"healthy,omitempty"` // nil before it was checked
	*details
}

type details struct {
	URL         string `json:"url"`
	Product     string `json:"product,omitempty"`
	Version     string `json:"version,omitempty"`
	Description string `json:"description"`
}

// list lists the enabled back ends; agents are not told of others, as in the documents.
func (v *View) list(object []byte) (any, error) {
	a := read(object)
	f := snapshot.Filter{
		Enabled: snapshot.Yes,
		Type:    []byte(a.text("type")), Namespace: []byte(a.text("namespace")),
		Verified: a.flag("verified"), Healthy: a.flag("healthy"),
	}
	typ, namespace := string(f.Type), string(f.Namespace)
	detailed := a.flag("details") == snapshot.Yes
	limit := a.number("limit", listed, mostListed)
	if token := a.text("continue"); token != "" && !f.After.Parse([]byte(token)) {
		a.bad("The argument continue is not the one of an answer before; leave it out to begin anew.")
	}
	if err := a.end(); err != nil {
		return nil, err
	}
	answer := &listing{Backends: []entry{}, Total: v.Snapshot.Count(&f), warning: v.warning()}
	for i := range v.Snapshot.Select(&f) {
		key, b, id := i.Key(), i.Backend(), i.Identity()
		if len(answer.Backends) == limit {
			last := answer.Backends[limit-1]
			answer.Continue = snapshot.TokenAfter(service.Key{Namespace: last.Namespace, Name: last.Name})
			break
		}
		e := entry{Name: key.Name, Namespace: key.Namespace, Type: b.Type, Verified: id.Verdict == service.Verified, Healthy: healthy(&i)}
		if detailed {
			e.details = &details{b.Endpoint + b.APIPath, id.Product, id.Version, b.Description}
		}
		answer.Backends = append(answer.Backends, e)
	}
	if answer.Total == 0 {
		answer.Note = v.none(&f, typ, namespace)
	}
	return answer, nil
}

// none says why a listing is empty, if that is due to one of its arguments.
func (v *View) none(f *snapshot.Filter, typ, namespace string) string {
	ofType := snapshot.Filter{Enabled: snapshot.Yes, Type: f.Type}
	inNamespace := snapshot.Filter{Enabled: snapshot.Yes, Namespace: f.Namespace}
	switch {
	case v.Snapshot.Count(&snapshot.Filter{Enabled: snapshot.Yes}) == 0:
		return ""
	case typ != "" && v.Snapshot.Count(&ofType) == 0:
		if near := v.Snapshot.TypeLike(typ); near != "" {
			return "There is none of the type " + quoted(typ) + "; did you mean " + near + "?"
		}
		return "There is none of the type " + quoted(typ) + "."
	case namespace != "" && v.Snapshot.Count(&inNamespace) == 0:
		return "There is none in the namespace " + quoted(namespace) + "."
	case v.Unasked && f.Verified != snapshot.Any:
		return "Back ends are not asked here who they are; leave verified out."
	case v.Unchecked && f.Healthy != snapshot.Any:
		return "Health is not checked here; leave healthy out."
	}
	return ""
}

// healthy returns whether a back end is healthy; nil if it was not checked.
func healthy(i *snapshot.Item) *bool {
	if !i.Checked() {
		return nil
	}
	h := i.Healthy()
	return &h
}
