package monitoringtest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const ruleFile = "../components/monitoring/prometheusrule.yaml"

// ruleGroups is the spec of a PrometheusRule, which is also a rule file of Prometheus.
type ruleGroups struct {
	Groups []struct {
		Name     string `json:"name"`
		Interval string `json:"interval,omitempty"`
		Rules    []rule `json:"rules"`
	} `json:"groups"`
}

type rule struct {
	Record        string            `json:"record,omitempty"`
	Alert         string            `json:"alert,omitempty"`
	Expr          string            `json:"expr"`
	For           string            `json:"for,omitempty"`
	KeepFiringFor string            `json:"keep_firing_for,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func (r rule) name() string { return r.Alert + r.Record }

func readRules(t *testing.T) ruleGroups {
	t.Helper()
	b, err := os.ReadFile(ruleFile)
	if err != nil {
		t.Fatal(err)
	}
	var object struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string            `json:"name"`
			Namespace string            `json:"namespace"`
			Labels    map[string]string `json:"labels"`
		} `json:"metadata"`
		Spec ruleGroups `json:"spec"`
	}
	// Strict, since a field that is not in ruleGroups would not reach promtool.
	if err := yaml.UnmarshalStrict(b, &object); err != nil {
		t.Fatal(err)
	}
	if object.Kind != "PrometheusRule" || object.APIVersion != "monitoring.coreos.com/v1" ||
		object.Metadata.Name != "dynamic-toolset" || object.Metadata.Namespace != "kubernaut-system" {
		t.Fatalf("not the PrometheusRule that is meant: %+v", object)
	}
	return object.Spec
}

func (g ruleGroups) all() []rule {
	var all []rule
	for _, group := range g.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func (g ruleGroups) alerts() map[string]rule {
	alerts := map[string]rule{}
	for _, r := range g.all() {
		if r.Alert != "" {
			alerts[r.Alert] = r
		}
	}
	return alerts
}

// write writes the groups as a rule file of Prometheus.
func (g ruleGroups) write(t *testing.T, path string) {
	t.Helper()
	b, err := yaml.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// program returns the path of a program of Debian's package prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		testenv.Missing(t, "the program "+name, "On Debian and Ubuntu: apt-get install prometheus")
	}
	return path
}

// promtool runs promtool in dir and fails the test if it fails.
func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*testenv.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, "promtool"), args...) // #nosec G204 -- a fixed program
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRulesAreValid(t *testing.T) {
	dir := t.TempDir()
	rules := readRules(t)
	rules.write(t, filepath.Join(dir, "rules.yaml"))
	promtool(t, dir, "check", "rules", "--lint-fatal", "rules.yaml")

	seen := map[string]bool{}
	for _, r := range rules.all() {
		if seen[r.name()] {
			t.Errorf("%s: there are two", r.name())
		}
		seen[r.name()] = true
		if r.Alert == "" {
			continue
		}
		if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		if r.For == "" {
			t.Errorf("%s: no for; 0m if that is meant", r.Alert)
		}
		for _, a := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s: no %s", r.Alert, a)
			}
		}
		if strings.Contains(r.Annotations["description"], "{{") {
			t.Errorf("%s: what varies belongs in the summary; the unit tests take the description as it is", r.Alert)
		}
		if want := runbookBase + "#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	if n := len(rules.alerts()); n < 10 {
		t.Errorf("only %d alerts were read", n)
	}
}

// A unitTests file is a file for promtool test rules, as far as these tests need it.
type unitTests map[string]any

type alertTest struct {
	Alertname string           `json:"alertname"`
	ExpAlerts []map[string]any `json:"exp_alerts"`
}

// complete adds what a rule always says to each expected alert, and counts the
// expectations that an alert fires and that it does not.
func (u unitTests) complete(t *testing.T, alerts map[string]rule, fires, quiet map[string]int) {
	t.Helper()
	for _, test := range u["tests"].([]any) {
		cases, _ := test.(map[string]any)["alert_rule_test"].([]any)
		for _, c := range cases {
			var parsed alertTest
			b, err := json.Marshal(c)
			if err == nil {
				err = json.Unmarshal(b, &parsed)
			}
			if err != nil {
				t.Fatal(err)
			}
			name := parsed.Alertname
			rule, ok := alerts[name]
			if !ok {
				t.Errorf("a test is about %q, which is no alert", name)
				continue
			}
			if len(parsed.ExpAlerts) == 0 {
				quiet[name]++
				continue
			}
			fires[name]++
			for _, e := range c.(map[string]any)["exp_alerts"].([]any) {
				annotations := e.(map[string]any)["exp_annotations"].(map[string]any)
				for _, a := range []string{"description", "runbook_url"} {
					annotations[a] = rule.Annotations[a]
				}
			}
		}
	}
}

// Each alert fires when it should, with the right text, and does not when it should not.
func TestAlerts(t *testing.T) {
	rules := readRules(t)
	alerts := rules.alerts()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no unit tests found:", err)
	}
	fires, quiet := map[string]int{}, map[string]int{}
	dir := t.TempDir()
	rules.write(t, filepath.Join(dir, "rules.yaml"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var u unitTests
		if err := yaml.Unmarshal(b, &u); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		u.complete(t, alerts, fires, quiet)
		if b, err = yaml.Marshal(u); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name := range alerts {
		if fires[name] == 0 || quiet[name] == 0 {
			t.Errorf("%s: %d tests that it fires, %d that it does not; each alert needs both", name, fires[name], quiet[name])
		}
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { promtool(t, dir, "test", "rules", filepath.Base(file)) })
	}
}

// The objective in the alerts' expressions is the one in their texts and in the guide.
func TestBurnRates(t *testing.T) {
	alerts := readRules(t).alerts()
	for name, want := range map[string][]string{
		"DynamicToolsetErrorBudgetBurnFast": {"14.4 * 0.001", "14.4 * 0.001", "6 * 0.001", "6 * 0.001"},
		"DynamicToolsetErrorBudgetBurnSlow": {"3 * 0.001", "3 * 0.001", "0.001", "0.001"},
	} {
		got := regexp.MustCompile(`(?:[\d.]+ \* )?0\.001`).FindAllString(alerts[name].Expr, -1)
		if !slices.Equal(got, want) {
			t.Errorf("%s burns at %q, want %q", name, got, want)
		}
	}
}
