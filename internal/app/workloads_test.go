package app

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/workloads"
)

const realWorkloads = "testdata/workloads"

// truth returns what the Services of each folder are, as "kind scheme port"; those that are
// missing are no back ends.
func truth(t *testing.T) map[string]map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(realWorkloads, "labels.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	all := map[string]map[string]string{}
	for in := bufio.NewScanner(f); in.Scan(); {
		c := strings.Split(in.Text(), "\t")
		if len(c) < 5 || c[0] == "folder" {
			continue
		}
		if all[c[0]] == nil {
			all[c[0]] = map[string]string{}
		}
		if c[1] != "none" {
			all[c[0]][c[1]] = strings.Join(c[2:5], " ")
		}
	}
	return all
}

// read reads a folder as --manifests does, and returns what each back end is, as
// "kind scheme port", with its evidence.
func read(t *testing.T, dir string, withWorkloads bool) (found map[string]string, evidence map[string][]string) {
	t.Helper()
	found, evidence = map[string]string{}, map[string][]string{}
	var index *workloads.Index
	if withWorkloads {
		index = &workloads.Index{}
	}
	identify := recognise(detect.Default(), "", asEvidence(index), config.IdentifyOff, func(svc *corev1.Service, res detect.Result) {
		key := svc.Namespace + "/" + svc.Name
		delete(found, key)
		if b := res.Backend; b != nil {
			u, err := url.Parse(b.Endpoint)
			if err != nil {
				t.Error(err)
				return
			}
			found[key], evidence[key] = fmt.Sprint(b.Type, " ", u.Scheme, " ", u.Port()), b.Evidence
		}
	})
	sink, follower := through(index, oneByOne{catalogue.New(identify, nil)})
	source, err := manifests.New(dir, manifests.Options{Sink: sink, Workloads: follower})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	select {
	case <-source.FirstSync():
	case <-ctx.Done():
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if p := source.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	return found, evidence
}

// oneByOne makes the catalogue identify Services one at a time, for a test that notes them.
type oneByOne struct{ *catalogue.Catalogue }

func (c oneByOne) Replace(services []*corev1.Service) {
	for _, svc := range services {
		c.Upsert(svc)
	}
}

// Real Services with their workloads are recognised, and no others, with the right scheme
// and port.
func TestRealWorkloads(t *testing.T) {
	services := 0
	for folder, want := range truth(t) {
		got, evidence := read(t, filepath.Join(realWorkloads, folder), true)
		if !maps.Equal(got, want) {
			t.Errorf("%s:\ngot  %v\nwant %v", folder, got, want)
		}
		services += len(want)
		for key, e := range evidence {
			// The Service of prometheus-operator-shards selects a label that the operator
			// gives to no pod.
			if !strings.HasPrefix(e[0], "image ") && folder != "prometheus-operator-shards" {
				t.Errorf("%s %s: no image among %q", folder, key, e)
			}
		}
	}
	if services != 20 {
		t.Errorf("%d back ends", services)
	}
}

// A nameless copy of a folder has the same ports, images and structure, but no name, label
// or port's name means anything.
func nameless(t *testing.T, folder string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(realWorkloads, folder, "manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	word := func(s string) string {
		if known[s] == "" {
			known[s] = fmt.Sprintf("thing-%c", 'a'+len(known))
		}
		return known[s]
	}
	out := regexp.MustCompile(`(?m)^( *(?:- )?)([\w./-]+): ([a-z][\w.-]*)$`).ReplaceAllStringFunc(string(data), func(line string) string {
		m := regexp.MustCompile(`^( *(?:- )?)([\w./-]+): (.*)$`).FindStringSubmatch(line)
		switch m[2] {
		case "apiVersion", "kind", "image", "type", "protocol", "clusterIP", "namespace", "targetPort":
			return line
		case "name":
			if strings.HasPrefix(m[1], "      ") || strings.HasPrefix(m[1], "  - ") {
				return line // of a port or a container
			}
			return m[1] + "name: " + word(m[3])
		}
		return m[1] + "label" + word(m[2]) + ": " + word(m[3])
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What no name and no label betrays is found by its image: as many back ends of each kind
// as there are, except those whose image runs other programs as well, and nothing else.
func TestImagesBetrayWhatLabelsDoNot(t *testing.T) {
	kinds := func(found map[string]string) []string {
		var all []string
		for _, v := range found {
			all = append(all, v)
		}
		slices.Sort(all)
		return all
	}
	found, total, before := 0, 0, 0
	for folder, want := range truth(t) {
		if strings.HasPrefix(folder, "prometheus-operator-") {
			continue // its operator chooses the labels
		}
		dir := nameless(t, folder)
		got, _ := read(t, dir, true)
		without, _ := read(t, dir, false)
		before += len(without)
		expected := kinds(want)
		total += len(expected)
		found += len(got)
		expected = slices.DeleteFunc(expected, func(s string) bool { return strings.HasPrefix(s, "argocd ") || strings.HasPrefix(s, "thanos-query ") })
		if g := kinds(got); !slices.Equal(g, expected) {
			t.Errorf("%s: %v, want %v", folder, got, expected)
		}
	}
	t.Logf("%d of %d back ends by their images, %d without", found, total, before)
}

// If the pods of a Service run another product, or none, it is never listed as what its
// names say.
func TestImagesContradictNames(t *testing.T) {
	image := regexp.MustCompile(`(?m)^( *(?:- +)?)image: .*$`)
	others := map[string]string{
		"nginx:1.27": "", "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0": "", "prom/pushgateway": "", "prom/node-exporter:v1.9.0": "",
		"prom/prometheus": "prometheus", "grafana/grafana": "grafana", "jaegertracing/all-in-one:1.62": "jaeger", "grafana/loki:3.5.0": "loki",
		"victoriametrics/victoria-metrics": "victoriametrics", "openzipkin/zipkin": "zipkin", "quay.io/thanos/thanos": "thanos-query",
		"otel/opentelemetry-collector": "otel-collector", "quay.io/kiali/kiali": "kiali",
	}
	pairs := 0
	for folder, want := range truth(t) {
		data, err := os.ReadFile(filepath.Join(realWorkloads, folder, "manifest.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(folder, "prometheus-operator-") {
			continue // the operator chooses the image
		}
		for other, kind := range others {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "manifest.yaml"), image.ReplaceAll(data, []byte("${1}image: "+other)), 0o600); err != nil {
				t.Fatal(err)
			}
			got, _ := read(t, dir, true)
			for key := range want {
				if g, _, _ := strings.Cut(got[key], " "); g != "" && g != kind {
					t.Errorf("%s %s runs %s, and is listed as %s", folder, key, other, got[key])
				}
				pairs++
			}
		}
	}
	if pairs < 150 {
		t.Errorf("only %d pairs", pairs)
	}
}
