package holmesgpt

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// This file does with a tool what HolmesGPT does, step by step.

type loadedTool struct {
	Name, Description, Command string
	Parameters                 map[string]struct {
		Description, Type string
		Required          bool
	}
}

type loadedToolset struct {
	Enabled       bool
	Type          string
	Description   string
	Instructions  string `yaml:"llm_instructions"`
	Config        map[string]any
	Tools         []loadedTool
	Prerequisites []struct{ Command string }
}

// load reads a document, which must be valid.
func load(t *testing.T, doc []byte) map[string]loadedToolset {
	t.Helper()
	if err := Check(doc); err != nil {
		t.Fatalf("HolmesGPT would not load it: %v\n%s", err, doc)
	}
	var all struct {
		Toolsets map[string]loadedToolset
		Servers  map[string]loadedToolset `yaml:"mcp_servers"`
	}
	if err := yaml.Unmarshal(doc, &all); err != nil {
		t.Fatal(err)
	}
	if all.Toolsets == nil {
		all.Toolsets = map[string]loadedToolset{}
	}
	maps.Copy(all.Toolsets, all.Servers) // as toolset_manager.py does
	return all.Toolsets
}

// expandvars is Python's os.path.expandvars.
func expandvars(s string, environ map[string]string) string {
	return regexp.MustCompile(`\$(\w+|\{[^}]*\})`).ReplaceAllStringFunc(s, func(ref string) string {
		if v, ok := environ[strings.Trim(ref, "${}")]; ok {
			return v
		}
		return ref
	})
}

// sanitize is HolmesGPT's: shlex.quote, but nothing for an empty value.
func sanitize(s string) string {
	if s == "" || regexp.MustCompile(`^[a-zA-Z0-9_@%+=:,./-]+$`).MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

// fill inserts the parameters, as Jinja does for a template with nothing but placeholders
// and conditions.
// Check makes sure that there is nothing else.
func fill(command string, values map[string]string) string {
	command = conditional.ReplaceAllStringFunc(command, func(part string) string {
		p := conditional.FindStringSubmatch(part)
		if v := sanitize(values[p[1]]); v == "" || v == "None" {
			return ""
		}
		return p[3]
	})
	return placeholder.ReplaceAllStringFunc(command, func(p string) string {
		return sanitize(values[placeholder.FindStringSubmatch(p)[1]])
	})
}

// A recorder is a folder with a curl that writes down its arguments.
type recorder struct{ dir, out string }

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	dir := t.TempDir()
	r := &recorder{dir: dir, out: filepath.Join(dir, "argv")}
	script := "#!/bin/sh\nprintf '%s\\0' \"$@\" >>'" + r.out + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "curl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return r
}

// argv runs a command in a shell and returns the arguments with which curl was started.
func (r *recorder) argv(t testing.TB, shell, line string) []string {
	t.Helper()
	os.Remove(r.out) //nolint:errcheck // it may not be there
	cmd := exec.Command(shell, "-c", line)
	cmd.Env = []string{"PATH=" + r.dir, "HOME=/somewhere", "IFS= \t\n"}
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%s -c %q: %v: %s", shell, line, err, out)
	}
	if entries, err := os.ReadDir(r.dir); err != nil || len(entries) != 2 {
		t.Fatalf("%s -c %q left something else behind: %v, %v", shell, line, entries, err)
	}
	b, err := os.ReadFile(r.out)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// intended returns the arguments that curl should get for a tool.
func (t *tool) intended(base string, values map[string]string) []string {
	put := func(s string) string {
		return regexp.MustCompile(`\{(\w+)\}`).ReplaceAllStringFunc(s, func(p string) string { return values[p[1:len(p)-1]] })
	}
	argv := strings.Fields(curl)[1:]
	if len(t.query) > 0 {
		argv = append(argv, "--get")
	}
	for _, q := range t.query {
		if name := optional(q); name != "" {
			if v := values[name]; v == "" || v == "None" {
				continue
			}
			q = strings.Replace(q, "?}", "}", 1)
		}
		argv = append(argv, "--data-urlencode", put(q))
	}
	return append(argv, base+put(t.path))
}

// shells are those in which releases of HolmesGPT run commands.
func shells() []string {
	return slices.DeleteFunc([]string{"/bin/sh", "/bin/bash"}, func(s string) bool { _, err := os.Stat(s); return err != nil })
}

// document returns the whole document.
func document(t testing.TB, toolsets ...Toolset) []byte {
	t.Helper()
	return with(t, Options{}, toolsets...)
}

// with returns the whole document with options.
func with(t testing.TB, o Options, toolsets ...Toolset) []byte {
	t.Helper()
	var candidates []Candidate
	for _, ts := range toolsets {
		f, err := Render(ts)
		if err != nil {
			t.Fatalf("%v: %v", ts, err)
		}
		candidates = append(candidates, Candidate{Fragment: f})
	}
	d := Document(candidates, o)
	return d.Bytes()
}
