package monitoringtest

import (
	"path/filepath"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// When a right is missing, the metric that counts refusals has the labels that the rules,
// the dashboard and the guide use.
func TestMissingRightIsVisible(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts a control plane and Prometheus")
	}
	cp := simtest.Start(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cp.WriteKubeconfigAs(kubeconfig, "nobody-in-particular"); err != nil {
		t.Fatal(err)
	}
	r := &replica{t: t, api: testenv.FreeAddress(t), metrics: testenv.FreeAddress(t)}
	r.cmd, r.ended = start(t, buildService(t), "--kubeconfig", kubeconfig, "--listen", r.api, "--metrics-listen", r.metrics, "--configmap-enabled=false")
	p := startPrometheus(t, r)

	names := readDashboard(t).expressions()
	for _, rule := range readRules(t).all() {
		names["rule "+rule.name()] = rule.Expr
	}
	asked := 0
	for name, expr := range names {
		selectors, groups := parse(expr)
		for _, s := range selectors {
			if s.metric != onlyKubernetes {
				continue
			}
			asked++
			eventually(t, name+": "+s.String(), func() bool {
				series, err := p.labelsOf(s.String())
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range groups {
					if len(series) > 0 && series[0][l] == "" {
						t.Fatalf("%s: there is no label %s in %v", name, l, series[0])
					}
				}
				return len(series) > 0
			})
		}
	}
	if asked < 2 {
		t.Errorf("%s is in %d expressions, want it in a rule and in a panel", onlyKubernetes, asked)
	}
	text, err := r.scrape()
	if err != nil {
		t.Fatal(err)
	}
	if is, says := exposed(t, text)[onlyKubernetes], documentedMetrics(t)[onlyKubernetes]; is != says {
		t.Errorf("%s is %+v; the guide says %+v", onlyKubernetes, is, says)
	}
}
