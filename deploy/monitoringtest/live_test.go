package monitoringtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A prometheus is a real Prometheus that scrapes and evaluates every second.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus starts a Prometheus with our rules that scrapes replicas, with the
// labels that a ServiceMonitor sets.
func startPrometheus(t *testing.T, replicas ...*replica) *prometheus {
	t.Helper()
	dir := t.TempDir()
	rules := readRules(t)
	for i := range rules.Groups {
		rules.Groups[i].Interval = "" // use the global interval, instead of waiting for 3 minutes
	}
	rules.write(t, filepath.Join(dir, "rules.yaml"))
	config := "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\n" +
		"scrape_configs:\n- job_name: dynamic-toolset\n  static_configs:\n"
	for i, r := range replicas {
		config += fmt.Sprintf("  - {targets: [%q], labels: {namespace: kubernaut-system, pod: dynamic-toolset-%d}}\n", r.metrics, i)
	}
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := testenv.FreeAddress(t)
	start(t, program(t, "prometheus"), "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	p := &prometheus{t, "http://" + address}
	eventually(t, "Prometheus is ready", func() bool {
		resp, err := client.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close() //nolint:errcheck // only the status counts
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// ask calls the API of Prometheus and decodes the data into v.
func (p *prometheus) ask(path string, query url.Values, v any) error {
	resp, err := client.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	var answer struct {
		Status string
		Error  string
		Data   json.RawMessage
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return json.Unmarshal(answer.Data, v)
}

// labelsOf returns the labels of each series that expr has now.
func (p *prometheus) labelsOf(expr string) ([]map[string]string, error) {
	var data struct {
		Result []struct{ Metric map[string]string }
	}
	if err := p.ask("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, err
	}
	var all []map[string]string
	for _, r := range data.Result {
		all = append(all, r.Metric)
	}
	return all, nil
}

// rows returns how many series expr has over the last half minute, as a panel would ask.
func (p *prometheus) rows(expr string) (int, error) {
	var data struct{ Result []json.RawMessage }
	now := time.Now()
	err := p.ask("/api/v1/query_range", url.Values{
		"query": {expr}, "start": {fmt.Sprint(now.Add(-30 * time.Second).Unix())}, "end": {fmt.Sprint(now.Unix())}, "step": {"1"},
	}, &data)
	return len(data.Result), err
}

// quietPanels are panels that show nothing while all is well.
var quietPanels = map[string]string{
	`panel "Requests in flight on unready replicas", A`: "both replicas are ready",
	`panel "Calls refused for want of a right", A`:      "manifests need no rights",
}

// onlyKubernetes begins the names of metrics that do not exist with manifests;
// TestMissingRightIsVisible tests them.
const onlyKubernetes = "toolset_kubernetes_forbidden_total"

// The service exposes everything that the rules and the dashboard name, and a real
// Prometheus has a result for every expression.
func TestAgainstRealPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts the service and Prometheus")
	}
	a, b := startReplica(t), startReplica(t)
	p := startPrometheus(t, a, b)
	stream, err := client.Get("http://" + a.api + "/api/v1/toolsets/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close() //nolint:errcheck // it was only opened
	// Prometheus sees no increase in what happens before its first scrape.
	eventually(t, "both replicas have been scraped", func() bool {
		rows, err := p.labelsOf("toolset_ready")
		return err == nil && len(rows) == 2
	})
	a.exercise()
	b.exercise()
	eventually(t, "both replicas were scraped often enough for rates", func() bool {
		rows, err := p.labelsOf(`count by (pod) (count_over_time(toolset_http_requests_total{code="503",route="/api/v1/toolsets/generate"}[1m]) >= 5)`)
		return err == nil && len(rows) == 2
	})
	// Once more, since the first errors may all have come before one scrape, which shows
	// no increase.
	for _, r := range []*replica{a, b} {
		r.wantStatus(503, "generate without a folder", r.post("/api/v1/toolsets/generate", ""))
	}
	eventually(t, "an error has been scraped after others", func() bool {
		rows, err := p.labelsOf(`increase(toolset_http_requests_total{code="503",route="/api/v1/toolsets/generate"}[1m]) > 0`)
		return err == nil && len(rows) == 2
	})

	expressions := readDashboard(t).expressions()
	for _, r := range readRules(t).all() {
		expressions["rule "+r.name()] = r.Expr
	}
	t.Run("rules", func(t *testing.T) { checkRuleHealth(t, p) })
	t.Run("selectors", func(t *testing.T) { checkSelectors(t, p, expressions) })
	t.Run("panels", func(t *testing.T) {
		for name, expr := range readDashboard(t).expressions() {
			n, err := p.rows(expr)
			why, quiet := quietPanels[name]
			switch {
			case err != nil:
				t.Errorf("%s: %v\n%s", name, err, expr)
			case n == 0 && !quiet:
				t.Errorf("%s shows nothing:\n%s", name, expr)
			case n > 0 && quiet:
				t.Errorf("%s shows something, though %s:\n%s", name, why, expr)
			}
		}
	})
	t.Run("variables", func(t *testing.T) {
		for _, v := range readDashboard(t).Templating.List {
			if v.Type != "query" {
				continue
			}
			call := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Definition)
			if call == nil {
				t.Errorf("variable %s: %s", v.Name, v.Definition)
				continue
			}
			series, err := p.labelsOf(variables.Replace(call[1]))
			if err != nil || len(series) == 0 || series[0][call[2]] == "" {
				t.Errorf("variable %s has no values: %v, %v", v.Name, series, err)
			}
		}
	})
	t.Run("guide", func(t *testing.T) { checkDocumentedMetrics(t, a) })
}

// checkRuleHealth waits until Prometheus has evaluated every rule without an error.
func checkRuleHealth(t *testing.T, p *prometheus) {
	var data struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError string
			}
		}
	}
	want := len(readRules(t).all())
	eventually(t, "every rule has been evaluated", func() bool {
		if err := p.ask("/api/v1/rules", nil, &data); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				if r.Health != "unknown" {
					n++
				}
			}
		}
		return n == want
	})
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				t.Errorf("%s: %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
}

// checkSelectors checks that each selector alone selects some series, and that the labels
// by which an expression groups or joins exist in one of them.
func checkSelectors(t *testing.T, p *prometheus, expressions map[string]string) {
	asked, documented := map[selector][]map[string]string{}, documentedMetrics(t)
	for _, name := range slices.Sorted(maps.Keys(expressions)) {
		selectors, groups := parse(expressions[name])
		if len(selectors) == 0 {
			t.Errorf("%s: no selector found in\n%s", name, expressions[name])
		}
		has := map[string]bool{"le": false}
		for _, s := range selectors {
			if s.metric == onlyKubernetes || documented[s.metric].optional {
				continue // the guide says with which settings it exists
			}
			series, ok := asked[s]
			if !ok {
				var err error
				if series, err = p.labelsOf(s.String()); err != nil {
					t.Errorf("%s: %s: %v", name, s, err)
				}
				if len(series) == 0 {
					t.Errorf("%s: nothing that the service exposes is chosen by\n%s", name, s)
				}
				asked[s] = series
			}
			for _, labels := range series {
				for l := range labels {
					has[l] = true
				}
			}
		}
		for _, l := range groups {
			if !has[l] && len(has) > 1 {
				t.Errorf("%s: none of its series has the label %s", name, l)
			}
		}
	}
	if len(asked) < 40 {
		t.Errorf("only %d selectors were found", len(asked))
	}
}

var (
	sample      = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	sampleLabel = regexp.MustCompile(`([a-zA-Z_]+)="(?:[^"\\]|\\.)*"`)
)

// exposed returns the metric families in the text that a replica exposes.
func exposed(t *testing.T, text string) map[string]family {
	t.Helper()
	all := map[string]family{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.HasPrefix(line, "#") && !sample.MatchString(line) {
			t.Errorf("not a sample: %q", line)
		}
	}
	kinds := map[string]string{}
	samples := sample.FindAllStringSubmatch(text, -1)
	for _, s := range samples {
		switch {
		case strings.HasPrefix(s[2], `le="`), strings.Contains(s[2], `,le="`):
			kinds[strings.TrimSuffix(s[1], "_bucket")] = "histogram"
		case strings.Contains(s[2], `quantile="`):
			kinds[s[1]] = "summary"
		}
	}
	for _, s := range samples {
		name, kind := s[1], "gauge"
		if strings.HasSuffix(name, "_total") || name == "go_cgo_calls_count" || name == "go_gc_forced_count" {
			kind = "counter"
		}
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			base, ok := strings.CutSuffix(s[1], suffix)
			if k := kinds[base]; ok && k != "" {
				name, kind = base, k
			}
		}
		var labels []string
		for _, l := range sampleLabel.FindAllStringSubmatch(s[2], -1) {
			if l[1] != "le" && l[1] != "quantile" {
				labels = append(labels, l[1])
			}
		}
		all[name] = family{kind: kind, labels: strings.Join(labels, ", ")}
	}
	return all
}

// checkDocumentedMetrics compares the guide's table with what a replica exposes after
// everything has happened that creates a series.
func checkDocumentedMetrics(t *testing.T, r *replica) {
	text, err := r.scrape()
	if err != nil {
		t.Fatal(err)
	}
	real, documented := exposed(t, text), documentedMetrics(t)
	for name, is := range real {
		says, ok := documented[name]
		switch {
		case !ok:
			t.Errorf("the guide does not have %s, a %s with the labels %q", name, is.kind, is.labels)
		case says.kind != is.kind || says.labels != is.labels:
			t.Errorf("%s is a %s with the labels %q; the guide says %s, %q", name, is.kind, is.labels, says.kind, says.labels)
		}
	}
	for name, says := range documented {
		if _, ok := real[name]; !ok && !says.optional && name != onlyKubernetes {
			t.Errorf("the guide has %s, which is not exposed", name)
		}
	}
}
