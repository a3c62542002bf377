package manifests

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// greedy returns files below the size limit that would take seconds and hundreds of
// megabytes to read, or all the memory there is.
func greedy() map[string]string {
	const size = 9 << 20
	long := strings.Repeat("x", 1<<20)
	var many strings.Builder
	for range 9000 { // each document is within all bounds
		many.WriteString("a: &a [" + strings.Repeat("x,", 100) + "x]\nb: [" + strings.Repeat("*a,", 50) + "*a]\n---\n")
	}
	return map[string]string{
		"documents":         strings.Repeat("a: 1\n---\n", size/9),
		"empty documents":   strings.Repeat("---\n", size/4),
		"ended documents":   strings.Repeat("a\n...\n", size/6),
		"values":            strings.Repeat("{}", size/2),
		"values on lines":   strings.Repeat("{}\n", size/3),
		"items":             `{"apiVersion":"v1","kind":"List","items":[` + strings.Repeat("1,", size/2) + "1]}",
		"items of objects":  `{"apiVersion":"v1","kind":"List","items":[` + strings.Repeat("{},", 11_000) + "{}]}",
		"Services":          `{"apiVersion":"v1","kind":"ServiceList","items":[` + strings.Repeat("{},", 11_000) + "{}]}",
		"yaml items":        "apiVersion: v1\nkind: List\nitems:\n" + strings.Repeat("- 1\n", size/4),
		"flow sequence":     "[" + strings.Repeat("1,", size/2) + "1]",
		"flow mapping":      "a: {" + strings.Repeat("a,", size/2) + "}",
		"block sequence":    strings.Repeat("- 1\n", size/4),
		"block on one line": strings.Repeat("- - 1\n", size/6),
		"block mapping":     strings.Repeat("a: 1\n", size/5),
		"carriage returns":  strings.Repeat("- 1\r", size/4),
		"sets":              strings.Repeat("? a\n", size/4),
		"several documents": strings.Repeat(strings.Repeat("a: 1\n", 200_000)+"---\n", 9),
		"aliases of text":   "a: &a " + long + "\nb: [" + strings.Repeat("*a,", 100_000) + "]\n",
		"aliases as keys":   "a: &a " + long + "\nb: {" + strings.Repeat("*a : 1,", 50_000) + "}\n",
		"aliases, laughing": billionLaughs(),
		"aliases, merged":   "a: &a {" + strings.Repeat("x: "+long[:1000]+",", 1000) + "}\nb: [" + strings.Repeat("{<<: *a},", 1000) + "]\n",
		"aliases, each few": many.String(),
		"alias of itself":   "a: &a [*a]\n",
	}
}

// Any file is read with bounded memory, or refused before it has taken much.
func TestManifestsWorkIsBounded(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector makes it slow, and it is one goroutine; make test runs this test without it")
	}
	for name, in := range greedy() {
		data := []byte(in)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		found, err := parseManifests(data, 10_000, func() bool { return time.Since(start) > time.Minute })
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%-18s %6d ms, %4d MiB allocated in all: %.90v", name, took.Milliseconds(), allocated, err)
		if _, refused := errors.AsType[tooMuch](err); !refused {
			t.Errorf("%s: not refused: %d findings, %v", name, len(found), err)
		}
		// Twice what the largest document that is accepted takes.
		if allocated > 400 {
			t.Errorf("%s: took %d MiB", name, allocated)
		}
	}
}

// What people have is not refused: large lists, text full of what looks like values, and
// aliases as they are used.
func TestManifestsBoundsAreFarAway(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector makes it slow, and it is one goroutine; make test runs this test without it")
	}
	var list strings.Builder
	list.WriteString("apiVersion: v1\nkind: List\nitems:\n")
	for i := range 9_000 {
		list.WriteString("- " + strings.ReplaceAll(strings.TrimSuffix(yamlService(fmt.Sprint("s", i)), "\n"), "\n", "\n  ") + "\n")
	}
	for name, c := range map[string]struct {
		in   string
		want int
	}{
		"a list":            {list.String(), 9_000},
		"documents":         {strings.Repeat(yamlService("a")+"---\n", 5_000), 5_000},
		"a dashboard":       {"apiVersion: v1\nkind: ConfigMap\ndata:\n  a.json: |\n" + strings.Repeat("    {\"a\": [1, 2, {\"expr\": \"a * b & c\"}]},\n", 50_000), 0},
		"a script":          {"apiVersion: v1\nkind: ConfigMap\ndata:\n  a: \"" + strings.Repeat("echo &a *a; ", 100_000) + "\"\n", 0},
		"aliases":           {strings.Replace(yamlService("a", "  labels: &l {x: \"y\"}\n"), "spec: {", "spec: {selector: *l, ", 1), 1},
		"a glob and an and": {yamlService("a", "  annotations: {x: \"*.example.com & more\"}\n"), 1},
	} {
		found, err := parseManifests([]byte(c.in), 10_000, never)
		if err != nil || len(found) != c.want {
			t.Errorf("%s: %d findings, want %d; %v", name, len(found), c.want, err)
			continue
		}
		for _, f := range found {
			if f.problem != "" {
				t.Errorf("%s: %s: %s", name, f.where, f.problem)
				break
			}
		}
	}
}

// A file that is refused keeps its Services, the others are read as usual, and the log
// has one line.
func TestManifestsRefusedFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a"))
	put(t, dir+"/big.yaml", yamlService("big"))
	core, logs := observer.New(zapcore.InfoLevel)
	m, sink := follow(t, dir, Options{Logger: zap.New(core), Poll: 50 * time.Millisecond})
	put(t, dir+"/big.yaml", greedy()["documents"])
	put(t, dir+"/bigger.yaml", greedy()["documents"])
	put(t, dir+"/b.yaml", yamlService("b"))
	sink.WantNames(t, soon, "default/a default/b default/big")
	testenv.Eventually(t, soon, "both are reported", func() bool { return len(m.Problems()) == 2 })
	p := m.Problems()
	if want := "big.yaml: holds more than 10000 documents or objects, empty ones included; split it into several files; the Services it had are kept"; p[0].String() != want {
		t.Errorf("problem %q, want %q", p[0], want)
	}
	if s := p[1].String(); !strings.HasPrefix(s, "bigger.yaml: holds more than 10000 documents") || strings.Contains(s, "kept") {
		t.Errorf("problem %q", s)
	}
	put(t, dir+"/c.yaml", yamlService("c"))
	sink.WantNames(t, soon, "default/a default/b default/big default/c")
	put(t, dir+"/big.yaml", yamlService("d"))
	sink.WantNames(t, soon, "default/a default/b default/c default/d")
	os.Remove(dir + "/bigger.yaml")
	testenv.Eventually(t, soon, "the log tells the end of both", func() bool { return logs.FilterMessageSnippet("can be used").Len() == 2 })
	if n := logs.FilterMessage("A manifest cannot be used").Len(); n != 2 {
		t.Errorf("%d lines of the log tell of 2 problems: %v", n, logs.All())
	}
}

// A chart's templates may be next to what was rendered from them.
func TestManifestsTemplateIsTold(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a"))
	put(t, dir+"/chart.yaml", "{{- if .Values.service }}\nkind: Service\n{{- end }}\n")
	m, sink := follow(t, dir, Options{})
	sink.WantNames(t, soon, "default/a")
	if p := m.Problems(); len(p) != 1 || !strings.Contains(p[0].String(), "chart.yaml: seems to be a template of Helm; render it first") {
		t.Errorf("%v", p)
	}
}

// While the folder is over a limit, readiness and log do not change with each file that
// changes.
func TestManifestsOverTheLimitIsOneState(t *testing.T) {
	for name, c := range map[string]struct {
		opts   Options
		exceed func(dir string)
		want   string
	}{
		"files": {Options{MaxFiles: 3}, func(dir string) {
			put(t, dir+"/y.yaml", yamlService("y"))
			put(t, dir+"/z.yaml", yamlService("z"))
		}, "more than 3 manifests"},
		"folders": {Options{MaxFiles: 3}, func(dir string) {
			for i := range 4 {
				put(t, fmt.Sprintf("%s/%d/x", dir, i), "")
			}
		}, "more than 3 folders"},
		"other files": {Options{MaxFiles: 3}, func(dir string) {
			for i := range 40 {
				put(t, fmt.Sprintf("%s/%d.txt", dir, i), "")
			}
		}, "more than 30 files"},
		"size": {Options{MaxTotalSize: 2000}, func(dir string) {
			put(t, dir+"/y.yaml", yamlService("y")+strings.Repeat("#", 2000))
		}, "more than 2000 bytes"},
		"depth": {Options{MaxDepth: 2}, func(dir string) { put(t, dir+"/1/2/3/x.yaml", "") }, "more than 2 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir+"/a.yaml", yamlService("a"))
			put(t, dir+"/b.yaml", yamlService("b"))
			core, logs := observer.New(zapcore.InfoLevel)
			c.opts.Logger, c.opts.Poll = zap.New(core), 50*time.Millisecond
			m, sink := follow(t, dir, c.opts)
			c.exceed(dir)
			testenv.Eventually(t, soon, "over the limit", func() bool { return !m.Status().Reachable })
			first := m.Status()
			if !strings.Contains(first.LastError, c.want) {
				t.Errorf("the reason is %q, want %q", first.LastError, c.want)
			}
			for i := range 20 { // a known file changes
				put(t, dir+"/a.yaml", yamlService("a", fmt.Sprintf("  labels: {i: \"%d\"}\n", i)))
				for end := time.Now().Add(60 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
					if s := m.Status(); s != first {
						t.Fatalf("the state was %+v and is %+v", first, s)
					}
				}
			}
			for _, e := range entries(t, dir) {
				if e != "a.yaml" && e != "b.yaml" {
					os.RemoveAll(dir + "/" + e)
				}
			}
			testenv.Eventually(t, soon, "below the limit", func() bool { return m.Status().Reachable })
			testenv.Eventually(t, soon, "what changed meanwhile is there", func() bool { return sink.Get("default", "a").Labels["i"] == "19" })
			if bad, good := logs.FilterMessageSnippet("cannot be read").Len(), logs.FilterMessageSnippet("can be read again").Len(); bad != 1 || good != 1 {
				t.Errorf("%d lines of the beginning and %d of the end, want 1 and 1: %v", bad, good, logs.All())
			}
		})
	}
}

func entries(t *testing.T, dir string) (names []string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// A file that is written all the time, right and wrong in turn, does not fill the log.
func TestManifestsAlternatingFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a"))
	core, logs := observer.New(zapcore.InfoLevel)
	m, _ := follow(t, dir, Options{Logger: zap.New(core), Poll: time.Hour})
	for i := range 15 {
		put(t, dir+"/a.yaml", fmt.Sprintf("kind: [ %d", i))
		testenv.Eventually(t, soon, "a problem", func() bool { return len(m.Problems()) == 1 })
		put(t, dir+"/a.yaml", yamlService("a"))
		testenv.Eventually(t, soon, "no problem", func() bool { return len(m.Problems()) == 0 })
	}
	if n := logs.Len(); n == 0 || n > maxSaid {
		t.Errorf("%d lines of the log about 30 changes, want 1 to %d", n, maxSaid)
	}
}

// A file that grows all the time delays nothing, and is refused once it is too large.
func TestManifestsGrowingFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/grows.yaml", yamlService("grows"))
	m, sink := follow(t, dir, Options{MaxFileSize: 1 << 20, Poll: 50 * time.Millisecond})
	f, err := os.OpenFile(dir+"/grows.yaml", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer f.Close()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_, _ = f.WriteString(strings.Repeat("# more\n", 500))
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	put(t, dir+"/b.yaml", yamlService("b"))
	sink.WantNames(t, soon, "default/b default/grows")
	testenv.Eventually(t, soon, "too large", func() bool {
		p := m.Problems()
		return len(p) == 1 && strings.Contains(p[0].Message, "larger than 1048576 bytes") && strings.Contains(p[0].Message, "kept")
	})
	put(t, dir+"/c.yaml", yamlService("c"))
	sink.WantNames(t, soon, "default/b default/c default/grows")
}

// Files of kustomize and Helm may be next to manifests without being manifests.
func TestManifestsCompanions(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/kustomization.yaml", "resources: [a.yaml]\n")
	put(t, dir+"/sub/kustomization.yml", "kind: Kustomization\nresources: []\n")
	put(t, dir+"/chart/Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0\n")
	put(t, dir+"/chart/values.yaml", "kind: DaemonSet\nreplicas: 1\n")
	put(t, dir+"/chart/values-prod.yaml", "replicas: 3\n")
	put(t, dir+"/chart/values.schema.json", `{"$schema":"x","type":"object"}`)
	put(t, dir+"/a.yaml", yamlService("a"))
	put(t, dir+"/values-b.yaml", "kind: Service\nmetadata: {name: b}\n")
	put(t, dir+"/other.yaml", "replicas: 3\n")
	m, sink := follow(t, dir, Options{Poll: time.Hour})
	if got := sink.Names(); got != "default/a" {
		t.Errorf("state %s", got)
	}
	var got []string
	for _, p := range m.Problems() {
		got = append(got, p.File)
	}
	if s := strings.Join(got, " "); s != "other.yaml values-b.yaml" {
		t.Errorf("problems of %s: %v", s, m.Problems())
	}
}
