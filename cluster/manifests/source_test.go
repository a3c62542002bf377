package manifests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// yamlService is a Service as people write them.
func yamlService(name string, more ...string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata:\n  name: %s\n%sspec:\n  ports:\n  - port: 9090\n", name, strings.Join(more, ""))
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// follow runs a Source until the test ends.
func follow(t *testing.T, dir string, opts Options) (*Source, *clustertest.Sink) {
	t.Helper()
	sink := clustertest.NewSink()
	opts.Sink = sink
	m, err := New(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if n := sink.Overlaps(); n > 0 {
			t.Errorf("%d calls of the cluster.Sink overlapped", n)
		}
	})
	select {
	case <-m.FirstSync():
	case <-time.After(soon):
		t.Fatal("no first sync")
	}
	return m, sink
}

func TestManifestsFollowChanges(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a")+"---\n"+yamlService("b", "  namespace: other\n"))
	put(t, dir+"/deep/er/c.json", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"c"},"spec":{"ports":[{"port":1}]}}`)
	put(t, dir+"/ignored.txt", yamlService("no"))
	put(t, dir+"/.hidden.yaml", yamlService("no"))
	put(t, dir+"/.git/x.yaml", yamlService("no"))
	m, sink := follow(t, dir, Options{Poll: time.Hour})
	if got := sink.Names(); got != "default/a default/c other/b" {
		t.Fatalf("first state: %s", got)
	}
	if s := m.Status(); !s.Synced || !s.Reachable || s.LastError != "" || !s.UnreachableSince.IsZero() {
		t.Errorf("status %+v", s)
	}

	put(t, dir+"/d.yml", yamlService("d"))
	t.Logf("a new file is seen after %v", sink.WantNames(t, soon, "default/a default/c default/d other/b"))
	put(t, dir+"/new/folder/e.yaml", yamlService("e"))
	t.Logf("a new folder is seen after %v", sink.WantNames(t, soon, "default/a default/c default/d default/e other/b"))
	put(t, dir+"/new/folder/f.yaml", yamlService("f"))
	sink.WantNames(t, soon, "default/a default/c default/d default/e default/f other/b")
	put(t, dir+"/a.yaml", yamlService("a", "  labels: {x: z}\n"))
	sink.WantNames(t, soon, "default/a default/c default/d default/e default/f")
	if got := sink.Get("default", "a").Labels["x"]; got != "z" {
		t.Errorf("label %q", got)
	}
	if err := os.RemoveAll(dir + "/new"); err != nil {
		t.Fatal(err)
	}
	t.Logf("a removed folder is seen after %v", sink.WantNames(t, soon, "default/a default/c default/d"))
	if err := os.Rename(dir+"/deep", dir+"/deeper"); err != nil {
		t.Fatal(err)
	}
	clustertest.Remains(t, 200*time.Millisecond, "c is known", func() bool { return sink.Get("default", "c") != nil })
	put(t, dir+"/deeper/er/c.json", "[]")
	put(t, dir+"/deeper/er/c.json", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"c2"},"spec":{"ports":[{"port":1}]}}`)
	sink.WantNames(t, soon, "default/a default/c2 default/d")
	if sink.Lists() != 1 {
		t.Errorf("%s: after the first state there should be no Replace", sink.Counts())
	}
}

// Editors write a new file and rename it to the old one, or move the old one away first
// (vim), and leave other files behind.
func TestManifestsEditors(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a"))
	_, sink := follow(t, dir, Options{Poll: time.Hour})
	for i := range 20 {
		want := fmt.Sprint("v", i)
		put(t, dir+"/.a.yaml.swp", "b0VIM")
		if i%2 == 0 {
			put(t, dir+"/a.yaml.tmp", yamlService("a", "  labels: {v: "+want+"}\n"))
			os.Rename(dir+"/a.yaml.tmp", dir+"/a.yaml")
		} else {
			os.Rename(dir+"/a.yaml", dir+"/a.yaml~")
			put(t, dir+"/a.yaml", yamlService("a", "  labels: {v: "+want+"}\n"))
			os.Remove(dir + "/a.yaml~")
		}
		testenv.Eventually(t, soon, want, func() bool { s := sink.Get("default", "a"); return s != nil && s.Labels["v"] == want })
	}
	if sink.Deletes() != 0 {
		t.Errorf("%s: replacing a file looked like a deletion", sink.Counts())
	}
}

func TestManifestsKeepLastGood(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a")+"---\n"+yamlService("b"))
	m, sink := follow(t, dir, Options{Poll: time.Hour, Logger: zap.New(core)})

	put(t, dir+"/a.yaml", yamlService("a")+"---\nkind: [unclosed\n\x1b[31m")
	testenv.Eventually(t, soon, "a problem", func() bool { return len(m.Problems()) == 1 })
	if got := m.Problems()[0]; got.File != "a.yaml" || !strings.Contains(got.Message, "document 2") || !strings.Contains(got.Message, "are kept") {
		t.Errorf("problem %q", got)
	}
	if got := sink.Names(); got != "default/a default/b" {
		t.Errorf("half a file was applied: %s", got)
	}
	for _, e := range logs.All() {
		if strings.Contains(e.Message, "\x1b") || strings.Contains(fmt.Sprint(e.ContextMap()), "\x1b") {
			t.Error("foreign text is in the log as it is")
		}
	}

	// An invalid Service stays as it was; others in the same file change.
	put(t, dir+"/a.yaml", yamlService("a", "  labels: {x: z}\n")+"---\n"+strings.Replace(yamlService("b"), "9090", "99999", 1)+
		"---\n"+yamlService("UPPER"))
	testenv.Eventually(t, soon, "two problems", func() bool { return len(m.Problems()) == 2 })
	if sink.Get("default", "a").Labels["x"] != "z" || sink.Get("default", "b").Spec.Ports[0].Port != 9090 || sink.Names() != "default/a default/b" {
		t.Errorf("state %s; problems %v", sink.Names(), m.Problems())
	}

	put(t, dir+"/a.yaml", yamlService("a"))
	sink.WantNames(t, soon, "default/a")
	if got := m.Problems(); len(got) != 0 {
		t.Errorf("problems remain: %v", got)
	}
	before := logs.Len()
	put(t, dir+"/other.yaml", yamlService("o"))
	sink.WantNames(t, soon, "default/a default/o")
	if logs.Len() != before {
		t.Error("an old problem was logged again")
	}
}

// A program may truncate a file and write it some time later, in pieces.
func TestManifestsSlowWriter(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a")+"---\n"+yamlService("b"))
	_, sink := follow(t, dir, Options{Poll: time.Hour, Debounce: 200 * time.Millisecond})
	f, err := os.Create(dir + "/a.yaml") // truncates
	if err != nil {
		t.Fatal(err)
	}
	clustertest.Remains(t, 450*time.Millisecond, "an empty file is not believed at once", func() bool { return sink.Names() == "default/a default/b" })
	for _, piece := range strings.SplitAfter(yamlService("c")+"---\n"+yamlService("a")+"---\n"+yamlService("b"), "\n") {
		f.WriteString(piece)
		// The time of the file is in the past, as after cp -p and tar; and another change
		// causes a walk.
		hourAgo := time.Now().Add(-time.Hour)
		os.Chtimes(dir+"/a.yaml", hourAgo, hourAgo)
		put(t, dir+"/note.txt", piece)
		os.Remove(dir + "/note.txt")
		time.Sleep(20 * time.Millisecond)
	}
	f.Close()
	sink.WantNames(t, soon, "default/a default/b default/c")
	if sink.Deletes() != 0 {
		t.Errorf("%s: something was deleted on the way", sink.Counts())
	}
	put(t, dir+"/a.yaml", "") // it stays empty
	sink.WantNames(t, soon, "")
}

// In a mounted ConfigMap, files are links through ..data, which is replaced.
func TestManifestsMountedConfigMap(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/..1/a.yaml", yamlService("a1"))
	put(t, dir+"/..1/b.yaml", yamlService("b1"))
	os.Symlink("..1", dir+"/..data")
	os.Symlink("..data/a.yaml", dir+"/a.yaml")
	os.Symlink("..data/b.yaml", dir+"/b.yaml")
	m, sink := follow(t, dir, Options{Poll: time.Hour})
	if got := sink.Names(); got != "default/a1 default/b1" {
		t.Fatalf("first state %s", got)
	}
	for i := 2; i < 10; i++ {
		d := fmt.Sprint("..", i)
		put(t, dir+"/"+d+"/a.yaml", yamlService(fmt.Sprint("a", i)))
		put(t, dir+"/"+d+"/b.yaml", yamlService(fmt.Sprint("b", i)))
		os.Symlink(d, dir+"/..data_tmp")
		os.Rename(dir+"/..data_tmp", dir+"/..data")
		took := sink.WantNames(t, soon, fmt.Sprintf("default/a%d default/b%d", i, i))
		os.RemoveAll(fmt.Sprint(dir, "/..", i-1))
		if i == 2 {
			t.Logf("a switched ConfigMap is seen after %v", took)
		}
	}
	if p := m.Problems(); len(p) != 0 {
		t.Errorf("problems %v", p)
	}
}

func TestManifestsRelist(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a"))
	sink := clustertest.NewSink()
	m, err := New(dir, Options{Sink: sink, Poll: time.Hour, Debounce: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Relist(t.Context()); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("before Run: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	<-m.FirstSync()
	put(t, dir+"/b.yaml", yamlService("b"))
	if err := m.Relist(t.Context()); err != nil || sink.Names() != "default/a default/b" || sink.Lists() != 2 {
		t.Errorf("%v: %s, %s", err, sink.Names(), sink.Counts())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := m.Relist(t.Context()); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("after Run: %v", err)
	}
	if err := m.Run(t.Context()); err == nil {
		t.Error("a second Run is allowed")
	}
}

// Ten thousand files, one of which changes.
func TestManifestsMany(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 5,000 files")
	}
	dir := t.TempDir()
	const n = 5000
	for i := range n {
		put(t, fmt.Sprintf("%s/%d/%d.yaml", dir, i%50, i), yamlService(fmt.Sprint("s", i)))
	}
	start := time.Now()
	_, sink := follow(t, dir, Options{Poll: time.Hour})
	t.Logf("%d files are read in %v", n, time.Since(start))
	if sink.Len() != n {
		t.Fatalf("%d Services", sink.Len())
	}
	put(t, dir+"/7/7.yaml", yamlService("changed"))
	t.Logf("a changed file is seen after %v", testenv.Eventually(t, soon, "seen", func() bool { return sink.Get("default", "changed") != nil }))
	put(t, dir+"/7/new.yaml", yamlService("new"))
	t.Logf("a new file is seen after %v", testenv.Eventually(t, soon, "seen", func() bool { return sink.Get("default", "new") != nil }))
	testenv.Eventually(t, soon, "counts", func() bool { return sink.Counts() == "1 replaces, 2 upserts, 1 deletes, 0 overlaps" })
}

// Find returns what was last read, or names to suggest.
func TestManifestsFind(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.yaml"), yamlService("prometheus")+"---\n"+yamlService("grafana")+"---\n"+yamlService("prometheus", "  namespace: other\n")+"---\n"+yamlService("loki", "  namespace: other\n"))
	m, _ := follow(t, dir, Options{})
	find := func(namespace, name string) (string, int) {
		t.Helper()
		svc, others, err := m.Find(t.Context(), service.Key{Namespace: namespace, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if svc == nil {
			return "", len(others)
		}
		return svc.Namespace + "/" + svc.Name, len(others)
	}
	for _, c := range []struct {
		namespace, name, want string
		others                int
	}{{"default", "prometheus", "default/prometheus", 0}, {"default", "loki", "", 3}, {"nowhere", "prometheus", "", 2}, {"nowhere", "x", "", 0}} {
		if got, others := find(c.namespace, c.name); got != c.want || others != c.others {
			t.Errorf("%s/%s: got %q and %d others", c.namespace, c.name, got, others)
		}
	}
	put(t, filepath.Join(dir, "b.yaml"), yamlService("tempo"))
	testenv.Eventually(t, testenv.Patience, "the new Service is found", func() bool { got, _ := find("default", "tempo"); return got != "" })
	unread, err := New(dir, Options{Sink: clustertest.NewSink()})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := unread.Find(t.Context(), service.Key{Namespace: "default", Name: "tempo"}); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("before anything was read: %v", err)
	}
}
