package app

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// Generate reads the cluster once and returns what the service would write, in the format
// of s. The warnings say what somebody should fix; they are returned with an error, too.
func Generate(s *config.Generate, version string) (output []byte, warnings []string, err error) {
	seen := &findings{found: map[service.Key]*detect.Result{}}
	rules, err := loadRules(s.Discovery.Rules)
	if err != nil {
		return nil, nil, err
	}
	index := usesWorkloads(s.Cluster, s.Discovery)
	identify := recognise(rules, s.Cluster.Domain, asEvidence(index), config.IdentifyOff, seen.see)
	overrides, err := loadOverrides(s.Overrides)
	if err != nil {
		return nil, nil, err
	}
	catalogue := catalogue.New(identify, nil)
	catalogue.SetOverrides(overrides)
	sink, follower := through(index, catalogue)
	if err := readOnce(&s.Reading, version, sink, follower); err != nil {
		return nil, seen.warnings(overrides), err
	}
	catalogue.Build()
	docs := catalogue.Snapshot().Documents(documentOptions(&s.HolmesGPT, &config.Documents{Outputs: printed(s), OwnURL: s.Documents.OwnURL}))
	for i := range docs {
		if docs[i].Key == holmesgpt.Key {
			if err := holmesgpt.Check(docs[i].Bytes()); err != nil {
				return nil, nil, fmt.Errorf("HolmesGPT would refuse what was generated, which is a fault of this program: please report it: %w", err)
			}
		}
	}
	output, err = format(s, docs)
	warnings = seen.warnings(overrides)
	for _, entry := range catalogue.OverriddenAliases() {
		warnings = append(warnings, "the overrides' "+entry+", which stays; name that one to switch it off")
	}
	for i := range docs {
		if docs[i].Tools >= holmesgpt.ManyTools {
			warnings = append(warnings, tooManyTools(&docs[i]))
		}
	}
	return output, warnings, err
}

func format(s *config.Generate, docs []service.Document) ([]byte, error) {
	if s.Format == config.FormatConfigMap {
		return configmap.Manifest(s.Namespace, s.Name, docs)
	}
	return docs[0].Bytes(), nil
}

// printed returns the formats of the documents that are printed.
func printed(s *config.Generate) []string {
	if s.Format == config.FormatConfigMap {
		return s.Documents.Outputs
	}
	return []string{s.Format}
}

// maxOverridesFile keeps a wrong file from being read whole. It is far more than
// overrides.Parse accepts.
const maxOverridesFile = 1 << 20

// loadOverrides reads overrides from a file, or from standard input if its name is "-".
// It returns nil if the name is empty.
func loadOverrides(file string) (*overrides.Set, error) {
	if file == "" {
		return nil, nil
	}
	from := os.Stdin
	if file != "-" {
		f, err := os.Open(file) // #nosec G304 -- the caller names it
		if err != nil {
			return nil, fmt.Errorf("--overrides: %w", err)
		}
		defer f.Close() //nolint:errcheck // it was only read
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxOverridesFile))
	if err != nil {
		return nil, fmt.Errorf("--overrides: %w", err)
	}
	o, wrong := overrides.Parse(b)
	if len(wrong) == 0 {
		return o, nil
	}
	lines := make([]string, len(wrong))
	for i, w := range wrong {
		lines[i] = "  " + strings.TrimPrefix(w.Field+": ", ": ") + w.Message
	}
	return nil, fmt.Errorf("%s has mistakes, so that the service would ignore all of it:\n%s", file, strings.Join(lines, "\n"))
}

// maxAnnotationWarnings bounds the warnings about annotations.
const maxAnnotationWarnings = 100

// findings collects what was found out about Services, for warnings.
type findings struct {
	mu    sync.Mutex // namespaces of a cluster are read concurrently
	found map[service.Key]*detect.Result
	some  bool // there was at least one Service
}

func (f *findings) see(svc *corev1.Service, res detect.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.some = true
	if res.Backend != nil || len(res.Problems) > 0 || len(res.Unread) > 0 {
		f.found[service.Key{Namespace: svc.Namespace, Name: svc.Name}] = &res
	}
}

// warnings returns what somebody should fix, in a stable order.
func (f *findings) warnings(o *overrides.Set) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	if !f.some {
		out = append(out, "there is no Service at all: is that the right folder, cluster or namespace?")
	}
	var discovered []*service.Backend
	keys := slices.SortedFunc(maps.Keys(f.found), func(a, b service.Key) int { return strings.Compare(a.String(), b.String()) })
	told, more := 0, 0
	for _, key := range keys {
		res := f.found[key]
		tell := func(what string, list []detect.Problem) {
			for _, p := range list {
				if told == maxAnnotationWarnings {
					more++
					continue
				}
				told++
				out = append(out, fmt.Sprintf("Service %s: %s%s %s", key, what, p.Field, p.Message))
			}
		}
		tell("annotation ", res.Problems)
		tell("", res.Unread)
		if res.Backend != nil {
			discovered = append(discovered, res.Backend)
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more annotations are wrong or do nothing; explain says so of one Service", more))
	}
	for _, entry := range o.Unmatched(discovered) {
		out = append(out, "the overrides' "+entry+" is about nothing that was found")
	}
	return out
}
