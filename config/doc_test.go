package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// documentation renders docs/configuration.md.
func documentation() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Generated from the flags: go test ./config -run TestConfigurationDoc -update -->

Every setting has one name, and is at the same time

- a flag: ` + "`--health-interval=1m`" + `,
- an environment variable: ` + "`TOOLSET_HEALTH_INTERVAL=1m`" + `,
- a key in the YAML file that ` + "`--config`" + ` names: ` + "`health-interval: 1m`" + `. The keys are the names of the flags, in kebab-case and not nested; lists are YAML lists.

A flag beats the environment, which beats the file, which beats the default. A variable that is empty counts as not set. A flag or key that is not listed here is refused, and so are a variable that starts with ` + "`TOOLSET_`" + ` and is not listed, and a value that makes no sense; all that is wrong is reported at once. (Variables that Kubernetes sets for Services whose names start with "toolset", such as ` + "`TOOLSET_SERVICE_HOST`" + `, are ignored, and so are ` + "`TOOLSET_TEST_*`" + `.)

Durations have a unit: ` + "`500ms`, `30s`, `5m`, `1h30m`" + `. Sizes are in bytes or have a unit: ` + "`16KiB`, `1MiB`, `500kB`" + `. Lists in flags and variables are separated by commas; a list flag may also be repeated.

A settings file:

` + "```yaml\n" + exampleFile + "```\n")
	for _, g := range newFlags(&Settings{}).groups {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| setting | default | environment | meaning |\n|---|---|---|---|\n", g.name, g.intro)
		for _, f := range g.flags {
			name, text := pflag.UnquoteUsage(f)
			value := "=" + name
			if f.Value.Type() == "bool" {
				value = ""
			}
			fmt.Fprintf(&b, "| `--%s%s` | `%s` | `%s` | %s |\n", f.Name, value, shownDefault(f), envName(f.Name), strings.ReplaceAll(text, "|", `\|`))
		}
	}
	return b.String()
}

const exampleFile = `# settings.yaml, used with --config=settings.yaml
namespaces:
  - monitoring
  - logging
health-interval: 1m
health-attempts: 2
max-request-body: 2MiB
log-level: debug
`

func TestConfigurationDoc(t *testing.T) {
	path := filepath.Join("..", "docs", "configuration.md")
	want := documentation()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is out of date; run: go test ./config -run TestConfigurationDoc -update")
	}
}

func TestTheDocumentedFileWorks(t *testing.T) {
	s := mustLoad(t, []string{"--config=" + write(t, "settings.yaml", exampleFile)})
	if len(s.Cluster.Namespaces) != 2 || s.Health.Attempts != 2 || s.Limits.MaxRequestBody != 2<<20 {
		t.Errorf("%+v", s)
	}
}

// Every flag has a group, a help text that says more than its name, a variable, a key,
// and an entry in the documentation.
func TestEveryFlagIsComplete(t *testing.T) {
	var usage bytes.Buffer
	Usage(&usage)
	doc, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFlags(&Settings{})
	group := map[string]string{}
	for _, g := range f.groups {
		for _, flag := range g.flags {
			group[flag.Name] = g.name
		}
	}
	for _, line := range strings.Split(usage.String(), "\n") {
		if len(line) > usageWidth && !strings.HasPrefix(strings.TrimSpace(line), "[default") {
			t.Errorf("a line of the help is too long: %s", line)
		}
	}
	f.VisitAll(func(flag *pflag.Flag) {
		name, text := pflag.UnquoteUsage(flag)
		if group[flag.Name] == "" {
			t.Errorf("--%s is in no group", flag.Name)
		}
		if !strings.Contains(text, ". ") || !strings.HasSuffix(text, ".") || len(text) < 60 {
			t.Errorf("--%s: %q does not say what it is for and when to change it", flag.Name, text)
		}
		if flag.Value.Type() != "bool" && name != strings.ToUpper(name) {
			t.Errorf("--%s: its value has no name, such as `DURATION`", flag.Name)
		}
		for _, want := range []string{"--" + flag.Name, envName(flag.Name) + "]"} {
			if !strings.Contains(usage.String(), want) {
				t.Errorf("the help lacks %s", want)
			}
		}
		for _, want := range []string{"`--" + flag.Name, "`" + envName(flag.Name) + "`"} {
			if !strings.Contains(string(doc), want) {
				t.Errorf("docs/configuration.md lacks %s", want)
			}
		}
		if foreign(envName(flag.Name)) {
			t.Errorf("%s looks like a variable of Kubernetes", envName(flag.Name))
		}

		// Each source accepts the flag's default, and sets it.
		value := flag.Value.String()
		if flag.Value.Type() == "stringSlice" {
			value = "kube-system"
		} else if value == "" {
			value = "nonsense"
		}
		for source, set := range map[string]func(*loader){
			"flag":        func(l *loader) { l.fromArgs([]string{"--" + flag.Name + "=" + value}) },
			"environment": func(l *loader) { l.env[envName(flag.Name)] = value; l.fromEnvironment() },
			"file":        func(l *loader) { l.fromYAML([]byte(fmt.Sprintf("%s: %q", flag.Name, value)), "f") },
		} {
			s := &Settings{}
			l := &loader{settings: s, flags: newFlags(s), origin: map[string]string{}, env: map[string]string{}}
			set(l)
			if flag.Name == "config" && source == "file" {
				continue
			}
			if len(l.problems) > 0 || l.origin[flag.Name] == "" {
				t.Errorf("--%s from %s: %v", flag.Name, source, l.problems)
			}
		}
	})
}

// FuzzFile looks for settings files that make Load panic, or that it accepts although
// their values are invalid.
func FuzzFile(f *testing.F) {
	f.Add(exampleFile)
	f.Add("listen: [a]\n")
	f.Add("a: &a [*a]\n")
	f.Add("? {}\n: 1\n")
	f.Add("namespaces: [\"a\"]\nallow-endpoint-cidrs: ['10.0.0.0/8']\n")
	f.Add("max-request-body: 1e3\nhealth-checks: no\n")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, text string) {
		s := &Settings{}
		l := &loader{settings: s, flags: newFlags(s), origin: map[string]string{}, env: map[string]string{"KUBERNETES_SERVICE_HOST": "x"}}
		l.fromYAML([]byte(text), "file")
		l.validate()
		for _, p := range l.problems {
			if strings.ContainsAny(p, "\n\x1b\x00") {
				t.Errorf("unescaped input in %q", p)
			}
		}
		if len(l.problems) == 0 && (s.Health.Attempts < 1 || s.HTTP.ReadTimeout <= 0 || s.HTTP.Listen == "" || s.Limits.MaxRequestBody < 1<<10) {
			t.Errorf("accepted: %+v", s)
		}
	})
}
