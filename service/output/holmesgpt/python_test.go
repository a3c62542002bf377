package holmesgpt

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// python returns a Python with the libraries by which HolmesGPT reads and runs toolsets.
func python(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import jinja2, yaml").Run() == nil {
			return p
		}
	}
	testenv.Missing(t, "Python with Jinja and PyYAML", "Install them: apt-get install python3-jinja2 python3-yaml")
	return ""
}

// Like TestHostileParameters and TestHostileDescriptions, but with PyYAML, Jinja and shlex
// themselves, which shows that this package is right about them.
func TestByHolmesGPTsOwnLibraries(t *testing.T) {
	type run struct {
		Toolset string            `json:"toolset"`
		Tool    string            `json:"tool"`
		Params  map[string]string `json:"params"`
	}
	script, err := os.ReadFile("testdata/holmes_steps.py")
	if err != nil {
		t.Fatal(err)
	}
	interpreter, r := python(t), newRecorder(t)
	var toolsets []Toolset
	for n, kind := range append(slices.Sorted(maps.Keys(tools)), "custom", "kafka", "otel-collector", "postgresql", "mcp") {
		for m := range 2 {
			ts := example(kind)
			ts.Name = kind + "-" + string(rune('a'+m))
			ts.Description = strings.Join(hostile[(4*n+m)%20:][:len(hostile)/2], " ") + hostile[(4*n+m)%len(hostile)]
			toolsets = append(toolsets, ts)
		}
	}
	doc := with(t, Options{Curl: true}, toolsets...)
	loaded := load(t, doc)
	var runs []run
	var want [][]string
	for n, ts := range toolsets {
		own, ok := loaded[ts.key()]
		if !ok || len(own.Tools) == 0 {
			continue
		}
		for i, tool := range toolsFor(ts.Type) {
			params := map[string]string{}
			for k, p := range tool.params {
				// Optional ones are left out in each of the ways of a model, too.
				switch value := clean(hostile[(7*n+3*i+k)%len(hostile)]); {
				case tool.required(p.name) || (n+i+k)%4 > 1:
					params[p.name] = value
				case (n+i+k)%4 == 1:
					params[p.name] = "None"
				}
			}
			runs = append(runs, run{ts.key(), own.Tools[i].Name, params})
			want = append(want, tool.intended(ts.Endpoint+ts.Path, params))
		}
	}
	for _, shell := range shells() {
		os.Remove(r.out) //nolint:errcheck // from the shell before
		job, err := json.Marshal(map[string]any{"document": string(doc), "runs": runs, "shell": shell, "environ": map[string]string{
			"PATH": r.dir, "SECRET": "the-secret", "GRAFANA_API_KEY": "k", "RABBITMQ_USERNAME": "u", "RABBITMQ_PASSWORD": "p", "OBS_POSTGRESQL_A_DATABASE_URL": "postgresql://u:p@h/a", "OBS_POSTGRESQL_B_DATABASE_URL": "postgresql://u:p@h/b"}})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(interpreter, "-c", string(script))
		cmd.Stdin = bytes.NewReader(job)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", shell, err, stderr.String())
		}
		var answer struct{ Toolsets, Instructions map[string]string }
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatal(err)
		}
		for name, ts := range loaded {
			if d := answer.Toolsets[name]; d != ts.Description || strings.Contains(d, "the-secret") {
				t.Errorf("PyYAML has for %s %q, not %q", name, d, ts.Description)
			}
			if d := answer.Instructions[name]; d != ts.Instructions || strings.Contains(d, "the-secret") {
				t.Errorf("Jinja makes of the instructions of %s %q, not %q", name, d, ts.Instructions)
			}
		}
		argv, err := os.ReadFile(r.out)
		if err != nil {
			t.Fatal(err)
		}
		rest := strings.Split(strings.TrimSuffix(string(argv), "\x00"), "\x00")
		for i, w := range want {
			if len(rest) < len(w) || !slices.Equal(rest[:len(w)], w) {
				t.Fatalf("%s: %v: curl got\n%q, not\n%q", shell, runs[i], rest[:min(len(rest), len(w))], w)
			}
			rest = rest[len(w):]
		}
		if len(rest) > 0 || len(want) < 60 {
			t.Errorf("%s: %d commands; curl was also started with %q", shell, len(want), rest)
		}
	}
}
