package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/endpoint"
	"kubernaut.io/dynamic-toolset/service/explain"
)

// A source finds Services, all of them and single ones.
type source interface {
	cluster.Source
	cluster.Finder
}

// explain says why a Service is a toolset or not.
func (a *App) explain(ctx context.Context, key service.Key) (*explain.Document, error) {
	x := explainer{a.source, a.rules, detect.Options{ClusterDomain: a.settings.Cluster.Domain, Workloads: a.evidence}, a.catalogue}
	return x.explain(ctx, key)
}

// An explainer explains Services.
type explainer struct {
	source    source
	rules     *detect.Rules
	options   detect.Options
	catalogue *catalogue.Catalogue
}

// explain asks the source for the Service, so that the answer is about what it is now.
func (x *explainer) explain(ctx context.Context, key service.Key) (*explain.Document, error) {
	if !endpoint.IsLabel(key.Namespace) || !endpoint.IsLabel(key.Name) {
		return nil, explain.NewMissing(key, nil) // no Service can have such a name
	}
	svc, others, err := x.source.Find(ctx, key)
	switch {
	case err != nil:
		if n, ok := errors.AsType[*cluster.NotWatched](err); ok {
			return explain.NotWatched(key, n.Watched), nil
		}
		return nil, err
	case svc == nil:
		return nil, explain.NewMissing(key, others)
	}
	return document(svc, x.rules, x.options, x.catalogue), nil
}

// document explains a Service that exists.
func document(svc *corev1.Service, rules *detect.Rules, o detect.Options, c *catalogue.Catalogue) *explain.Document {
	key := service.Key{Namespace: svc.Namespace, Name: svc.Name}
	x := rules.Explain(svc, o)
	toolset := svc.Name
	if x.Result.Backend != nil {
		toolset = x.Result.Backend.Name
	}
	f := c.Facts(key, toolset)
	return explain.Explain(key, &x, &f)
}

// Explain reads the cluster once and returns the explanation of the Service that s names,
// in the form of s. The warnings say what could not be read; they are returned with an
// error, too.
func Explain(s *config.Explain, version string) (output []byte, warnings []string, err error) {
	rules, err := loadRules(s.Discovery.Rules)
	if err != nil {
		return nil, nil, err
	}
	overrides, err := loadOverrides(s.Overrides)
	if err != nil {
		return nil, nil, err
	}
	key := service.Key{Namespace: s.Namespace, Name: s.Name}
	if w := s.Cluster.Namespaces; len(w) > 0 && !slices.Contains(w, key.Namespace) {
		output, err = rendered(explain.NotWatched(key, w), s.Output)
		return output, nil, err
	}
	wanted := &wanted{key: key}
	index := usesWorkloads(s.Cluster, s.Discovery)
	catalogue := catalogue.New(recognise(rules, s.Cluster.Domain, asEvidence(index), config.IdentifyOff, wanted.see), nil)
	catalogue.SetOverrides(overrides)
	sink, follower := through(index, catalogue)
	err = readOnce(&s.Reading, version, sink, follower)
	if refused, ok := errors.AsType[*unusable](err); ok {
		// The Service may be all right, and if it is not, this says why it is not found.
		for _, p := range refused.problems {
			warnings = append(warnings, p.String())
		}
		err = nil
	}
	if err != nil {
		return nil, warnings, err
	}
	if wanted.svc == nil {
		return nil, warnings, explain.NewMissing(key, wanted.others)
	}
	catalogue.Build()
	output, err = rendered(document(wanted.svc, rules, detect.Options{ClusterDomain: s.Cluster.Domain, Workloads: asEvidence(index)}, catalogue), s.Output)
	return output, warnings, err
}

func rendered(d *explain.Document, form string) ([]byte, error) {
	if form == config.OutputJSON {
		return d.JSON()
	}
	return d.Text(), nil
}

// wanted picks one Service out of all, and remembers names to suggest.
type wanted struct {
	key service.Key

	mu     sync.Mutex // namespaces of a cluster are read concurrently
	svc    *corev1.Service
	others []service.Key
}

func (w *wanted) see(svc *corev1.Service, _ detect.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch key := (service.Key{Namespace: svc.Namespace, Name: svc.Name}); {
	case key == w.key:
		w.svc = svc
	case key.Namespace == w.key.Namespace || key.Name == w.key.Name:
		w.others = append(w.others, key)
	}
}

// manifestsName is what messages call the place of manifests.
func manifestsName(place string) string {
	if place == "-" {
		return "standard input"
	}
	return place
}

// unusable is the error for manifests with problems.
type unusable struct {
	place    string
	problems []manifests.Problem
}

func (u *unusable) Error() string {
	lines := make([]string, len(u.problems))
	for i, p := range u.problems {
		lines[i] = "  " + p.String()
	}
	return fmt.Sprintf("%s holds what can't be used; put it right, or move it elsewhere:\n%s", u.place, strings.Join(lines, "\n"))
}
