package app

import (
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/transport/page"
)

// shown is what the page shows of what has happened last. It is kept here because the parts
// that know it tell it once and remember nothing.
type shown struct {
	written    atomic.Pointer[written]
	overridden atomic.Pointer[overridden]
	idle       atomic.Pointer[idle]
	candidates atomic.Pointer[candidates]
}

// written is the last attempt to write the documents.
type written struct {
	outcome string
	at      time.Time
}

// overridden is what the last overrides were.
type overridden struct {
	present bool
	wrong   []service.Invalid
}

// idle are the overrides that change nothing, as found out at a time.
type idle struct {
	at    time.Time
	texts []string
}

// candidates are those that are not listed, as found out at a time.
type candidates struct {
	at    time.Time
	shown []page.Candidate
	more  int
}

// maxAge is for how long the page shows the same idle overrides and candidates, since it
// takes all back ends to find them.
const maxAge = 5 * time.Second

// maxCandidates bounds the candidates that the page can find.
const maxCandidates = 1000

// pageState returns what the page says about the service.
func (a *App) pageState() page.State {
	s := a.settings
	st := page.State{Version: a.version, Replica: s.HTTP.ServedBy, Cluster: a.clusterShown(), ConfigMap: a.configMapShown(), Overrides: a.overridesShown()}
	st.Candidates, st.Unlisted = a.candidatesShown()
	if a.leader != nil {
		st.Leader = page.Leader{Self: a.leader.Identity(), Leads: a.leader.Leads(), Holder: a.leader.Holder()}
		if why := a.leader.Vacant(); why != nil {
			st.Leader.Vacant = vacant(why)
		}
	}
	return st
}

// vacant returns the part of why nobody leads that clients may see.
func vacant(why error) string {
	if public, ok := why.(interface{ Public() string }); ok {
		return public.Public()
	}
	return "a right is missing; the service's log says which"
}

// clusterShown says where Services come from. The address of an API server is shown only if
// somebody has chosen a kubeconfig: a pod has its own, which says nothing.
func (a *App) clusterShown() page.Cluster {
	c := &a.settings.Cluster
	shown := page.Cluster{Name: "the cluster that it runs in", Namespaces: c.Namespaces}
	switch {
	case c.Manifests != "":
		shown.Name = "the manifests in " + manifestsName(c.Manifests)
	case c.Context != "":
		shown.Name = "the context " + c.Context
	case c.Kubeconfig != "":
		shown.Name = a.host
	}
	switch v := a.source.Status(); {
	case !v.Reachable && c.Manifests != "":
		shown.Problem, shown.Since = "The folder or file is missing or unreadable; the service's log says why.", v.UnreachableSince
	case !v.Reachable:
		shown.Problem, shown.Since = "Kubernetes can't be reached; the service's log says why.", v.UnreachableSince
	case v.Denied != nil:
		shown.Problem, shown.Since = "A right is missing: "+v.Denied.Public()+".", v.DeniedSince
	}
	return shown
}

func (a *App) configMapShown() page.ConfigMap {
	if a.writer == nil {
		return page.ConfigMap{}
	}
	shown := page.ConfigMap{Name: fileOrConfigMap(&a.settings.ConfigMap)}
	if w := a.shown.written.Load(); w != nil {
		shown.Outcome, shown.At = w.outcome, w.at
		switch w.outcome {
		case configmap.WriteSuccess, configmap.WriteUnchanged, configmap.WriteConflict: // a conflict is tried again at once
		default:
			shown.Failed = true
		}
	}
	return shown
}

func fileOrConfigMap(c *config.ConfigMap) string {
	switch c.Write {
	case "":
		return c.Namespace + "/" + c.Name
	case "-":
		return "standard output"
	}
	return c.Write
}

func (a *App) overridesShown() page.Overrides {
	last := a.shown.overridden.Load()
	if last == nil {
		return page.Overrides{}
	}
	shown := page.Overrides{Present: last.present, Mistakes: last.wrong}
	if !last.present || len(last.wrong) > 0 {
		return shown
	}
	known := a.shown.idle.Load()
	if known == nil || time.Since(known.at) > maxAge {
		known = &idle{time.Now(), append(a.catalogue.UnmatchedOverrides(), a.catalogue.OverriddenAliases()...)}
		a.shown.idle.Store(known)
	}
	shown.Unmatched = known.texts
	return shown
}

// candidatesShown returns the Services that are asked what they are and not listed, and how
// many there are besides.
func (a *App) candidatesShown() ([]page.Candidate, int) {
	known := a.shown.candidates.Load()
	if known == nil || time.Since(known.at) > maxAge {
		all, more := a.catalogue.Unlisted(maxCandidates)
		known = &candidates{at: time.Now(), more: more}
		for i := range all {
			known.shown = append(known.shown, candidateShown(&all[i]))
		}
		a.shown.candidates.Store(known)
	}
	return known.shown, known.more
}

func candidateShown(u *catalogue.Unlisted) page.Candidate {
	shown := page.Candidate{Key: u.Key, Types: u.Question.Hints, Refuted: u.Identity.Verdict == service.Refuted, Note: "not asked yet"}
	if len(u.Question.URLs) > 0 {
		shown.URL = u.Question.URLs[0]
	}
	switch n := len(u.Identity.Evidence); {
	case n > 0 && shown.Refuted: // the first says no more than that
		shown.Note = u.Identity.Evidence[n-1]
	case n > 0:
		shown.Note = u.Identity.Evidence[0]
	case !u.Identity.At.IsZero():
		shown.Note = "its answers prove nothing"
	}
	return shown
}
