package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/cluster/kubernetes"
	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/holmesgpt"
)

// runGenerate is the command generate: it prints what the service would write.
func runGenerate(args []string) int {
	settings, err := config.LoadGenerate(args, os.Environ(), os.Stdout)
	switch {
	case errors.Is(err, config.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "dynamic-toolset generate: these settings can't work; --help explains each:\n%s\n", indent(err.Error()))
		return exitUsage
	}
	// Nothing is printed until everything is known to be right: whoever pipes the
	// output on must not get half of it.
	output, warnings, err := generate(settings)
	for _, w := range warnings {
		fmt.Fprintf(os.Stderr, "dynamic-toolset generate: warning: %s\n", w)
	}
	if err == nil {
		_, err = os.Stdout.Write(output)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "dynamic-toolset generate: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func generate(s *config.Generate) (output []byte, warnings []string, err error) {
	rules, err := loadRules(s.Discovery.Rules)
	if err != nil {
		return nil, nil, err
	}
	overrides, err := loadOverrides(s.Overrides)
	if err != nil {
		return nil, nil, err
	}
	seen := &sightings{rules: rules, options: detect.Options{ClusterDomain: s.Cluster.Domain}, found: map[service.Key]*detect.Result{}}
	catalogue := service.NewCatalogue(seen.identify, nil)
	catalogue.SetOverrides(overrides)
	if err := readOnce(s, catalogue); err != nil {
		return nil, seen.warnings(overrides), err
	}
	catalogue.Build()
	docs := catalogue.Snapshot().Documents()
	for i := range docs {
		if docs[i].Key == service.HolmesGPTKey {
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
	return output, warnings, err
}

func format(s *config.Generate, docs []service.GeneratedDocument) ([]byte, error) {
	if s.Format == config.FormatConfigMap {
		return configmap.Manifest(s.Namespace, s.Name, docs)
	}
	key := map[string]string{config.FormatKubernaut: service.KubernautKey, config.FormatHolmesGPT: service.HolmesGPTKey}[s.Format]
	i := slices.IndexFunc(docs, func(d service.GeneratedDocument) bool { return d.Key == key })
	return docs[i].Bytes(), nil
}

func loadRules(file string) (*detect.Rules, error) {
	if file == "" {
		return detect.Default(), nil
	}
	b, err := os.ReadFile(file) // #nosec G304 -- the caller names it
	if err != nil {
		return nil, fmt.Errorf("--rules: %w", err)
	}
	rules, err := detect.Load(b, file)
	if err != nil {
		return nil, fmt.Errorf("--rules: %w", err)
	}
	return rules, nil
}

// maxOverridesFile keeps a mistaken file from being read whole: far more than
// ParseOverrides accepts.
const maxOverridesFile = 1 << 20

// loadOverrides reads a file of overrides, or standard input if it is "-"; nil if
// there is none.
func loadOverrides(file string) (*service.Overrides, error) {
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
	o, wrong := service.ParseOverrides(b)
	if len(wrong) == 0 {
		return o, nil
	}
	lines := make([]string, len(wrong))
	for i, w := range wrong {
		lines[i] = "  " + strings.TrimPrefix(w.Field+": ", ": ") + w.Message
	}
	return nil, fmt.Errorf("%s has mistakes, so that the service would ignore all of it:\n%s", file, strings.Join(lines, "\n"))
}

// readOnce hands the whole state of the cluster to the sink.
func readOnce(s *config.Generate, sink cluster.Sink) error {
	source, problems, err := newSource(s, sink)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	stop := func() { cancel(); <-ended }
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-source.FirstSync():
			stop()
			return problems()
		case err := <-ended:
			if err != nil {
				return err
			}
			return unread(source.Status(), s.Timeout)
		case <-look.C:
			// A right that is missing does not come by waiting.
			if denied := source.Status().Denied; denied != nil {
				stop()
				return fmt.Errorf("the cluster can't be read: %w", denied)
			}
		}
	}
}

// unread says why the cluster could not be read in time.
func unread(a cluster.Availability, patience time.Duration) error {
	reason := a.LastError
	if reason == "" {
		reason = "raise --timeout if it is very large"
	}
	return fmt.Errorf("the cluster could not be read within %s: %s", patience, reason)
}

// newSource returns where Services come from, and what tells of those that could
// not be taken once it has been read.
func newSource(s *config.Generate, sink cluster.Sink) (source cluster.Source, problems func() error, err error) {
	cluster.RedirectClientLogs(zap.NewNop())
	if s.Cluster.Manifests != "" {
		m, err := manifests.New(s.Cluster.Manifests, manifests.Options{Sink: sink})
		if err != nil {
			return nil, nil, err
		}
		return m, func() error {
			list := m.Problems()
			if len(list) == 0 {
				return nil
			}
			lines := make([]string, len(list))
			for i, p := range list {
				lines[i] = "  " + p.String()
			}
			return fmt.Errorf("%s holds what can't be used; put it right, or move it elsewhere:\n%s", s.Cluster.Manifests, strings.Join(lines, "\n"))
		}, nil
	}
	cfg, err := cluster.Connect(s.Cluster.Kubeconfig, s.Cluster.Context, versionText())
	if err != nil {
		return nil, nil, err
	}
	k, err := kubernetes.New(cfg, kubernetes.Options{Sink: sink, Namespaces: s.Cluster.Namespaces})
	return k, func() error { return nil }, err
}

// sightings are what was found out about Services, for warnings.
type sightings struct {
	rules   *detect.Rules
	options detect.Options

	mu    sync.Mutex // a cluster's namespaces are read at once
	found map[service.Key]*detect.Result
	seen  bool // any Service
}

// identify is a service.Identify.
func (s *sightings) identify(svc *corev1.Service) *service.Backend {
	res := s.rules.Identify(svc, s.options)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = true
	if res.Backend != nil || len(res.Problems) > 0 {
		s.found[service.Key{Namespace: svc.Namespace, Name: svc.Name}] = &res
	}
	return res.Backend
}

// warnings lists what somebody should put right, in a lasting order.
func (s *sightings) warnings(o *service.Overrides) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	if !s.seen {
		out = append(out, "there is no Service at all: is that the right folder, cluster or namespace?")
	}
	var discovered []*service.Backend
	keys := slices.SortedFunc(maps.Keys(s.found), func(a, b service.Key) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		res := s.found[key]
		for _, p := range res.Problems {
			out = append(out, fmt.Sprintf("Service %s: annotation %s %s", key, p.Field, p.Message))
		}
		if res.Backend != nil {
			discovered = append(discovered, res.Backend)
		}
	}
	for _, entry := range o.Unmatched(discovered) {
		out = append(out, "the overrides' "+entry+" is about nothing that was found")
	}
	return out
}
