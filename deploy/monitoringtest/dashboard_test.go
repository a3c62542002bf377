package monitoringtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const dashboardFile = "../components/monitoring/dashboard.json"

// A dashboard is a Grafana dashboard, as far as these tests need it.
type dashboard struct {
	UID           string  `json:"uid"`
	Title         string  `json:"title"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name       string     `json:"name"`
			Type       string     `json:"type"`
			Datasource datasource `json:"datasource"`
			Definition string     `json:"definition"`
			Query      any        `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  datasource `json:"datasource"`
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RefID      string     `json:"refId"`
		Expr       string     `json:"expr"`
		Datasource datasource `json:"datasource"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit       string `json:"unit"`
			Thresholds struct {
				Steps []struct {
					Color string   `json:"color"`
					Value *float64 `json:"value"`
				} `json:"steps"`
			} `json:"thresholds"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	b, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// variables replaces what a person selects in Grafana by values with which an expression
// can be sent to Prometheus.
var variables = strings.NewReplacer("$namespace", ".+", "$job", ".+", "$pod", ".+", "$__rate_interval", "30s")

var variable = regexp.MustCompile(`\$\{?(\w+)`)

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || len(d.UID) > 40 || d.Title == "" || d.SchemaVersion < 36 {
		t.Errorf("uid %q, title %q, schema %d", d.UID, d.Title, d.SchemaVersion)
	}
	known := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		known[v.Name] = true
		switch v.Type {
		case "datasource":
			if v.Query != "prometheus" {
				t.Errorf("variable %s: query %v", v.Name, v.Query)
			}
		case "query":
			if v.Datasource.UID != "${datasource}" || v.Definition == "" {
				t.Errorf("variable %s: %+v", v.Name, v)
			}
		}
	}
	for _, name := range []string{"datasource", "namespace", "job", "pod"} {
		if !known[name] {
			t.Errorf("there is no variable %s", name)
		}
	}
	ids, taken, titles := map[int]bool{}, map[[2]int]string{}, map[string]bool{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("panel %q: its id, %d, is missing or another one's", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Title == "" || titles[p.Title] {
			t.Errorf("panel %d: the title %q is empty or another one's", p.ID, p.Title)
		}
		titles[p.Title] = true
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("panel %q: not within the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q overlap at %d, %d", other, p.Title, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		checkPanel(t, p, known)
	}
	if len(ids) < 20 {
		t.Errorf("only %d panels were read", len(ids))
	}
}

func checkPanel(t *testing.T, p panel, known map[string]bool) {
	t.Helper()
	defaults := p.FieldConfig.Defaults
	if p.Description == "" || defaults.Unit == "" || p.Datasource.UID != "${datasource}" || p.Datasource.Type != "prometheus" || len(p.Targets) == 0 {
		t.Errorf("panel %q: description %q, unit %q, data source %+v, %d targets", p.Title, p.Description, defaults.Unit, p.Datasource, len(p.Targets))
	}
	steps := defaults.Thresholds.Steps
	if len(steps) == 0 || steps[0].Value != nil {
		t.Errorf("panel %q: the first threshold must be there, and from minus infinity (null)", p.Title)
	}
	for i := 2; i < len(steps); i++ {
		if *steps[i].Value <= *steps[i-1].Value {
			t.Errorf("panel %q: the thresholds don't rise", p.Title)
		}
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if refs[target.RefID] || target.RefID == "" || target.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q: target %+v", p.Title, target)
		}
		refs[target.RefID] = true
		for _, v := range variable.FindAllStringSubmatch(target.Expr, -1) {
			if !known[v[1]] {
				t.Errorf("panel %q: there is no variable %s", p.Title, v[1])
			}
		}
		// If one installation is selected, the numbers of another must not be shown.
		selectors, _ := parse(target.Expr)
		for _, s := range selectors {
			want := []string{`namespace=~"$namespace"`, `job=~"$job"`, `pod=~"$pod"`}
			if strings.HasPrefix(s.metric, "toolset:") && !strings.Contains(s.matchers, "pod") {
				want = want[:2] // recorded without the pod
			}
			for _, w := range want {
				if !strings.Contains(s.matchers, w) {
					t.Errorf("panel %q: %s does not select by %s", p.Title, s, w)
				}
			}
		}
	}
}

// expressions returns every expression of the dashboard by a name for messages, ready for
// Prometheus.
func (d dashboard) expressions() map[string]string {
	all := map[string]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[fmt.Sprintf("panel %q, %s", p.Title, target.RefID)] = variables.Replace(target.Expr)
		}
	}
	return all
}
