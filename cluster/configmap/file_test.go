package configmap

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

func writeFile(t *testing.T, path, doc string) (*FileWriter, *draft) {
	t.Helper()
	d := &draft{docs: whole(doc)}
	opts := FileOptions{OnWrite: d.options().OnWrite, MinInterval: 10 * time.Millisecond}
	w := NewFileWriter(path, os.Stdout, "monitoring", "toolset", d.get, opts)
	d.notify = w.Notify
	clustertest.Background(t, w.Run)
	<-w.started
	return w, d
}

func TestFileWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cm.yaml")
	w, d := writeFile(t, path, "")
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, errNoDocument) {
		t.Errorf("WriteNow without a document: %v", err)
	}
	d.set("{\"tools\":[\n]}\n")
	version, err := w.WriteNow(t.Context())
	if err != nil || version == "" || version != w.Version() {
		t.Fatalf("WriteNow: %q, %v", version, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cm corev1.ConfigMap
	if err := yaml.UnmarshalStrict(content, &cm); err != nil {
		t.Fatal(err)
	}
	if cm.Kind != "ConfigMap" || cm.Namespace != "monitoring" || cm.Name != "toolset" || cm.Labels[cluster.ManagedByLabel] != cluster.FieldManager || cm.Data[kubernaut.Key] != "{\"tools\":[\n]}\n" {
		t.Errorf("%s", content)
	}
	if !strings.Contains(string(content), "toolset.json: |\n") {
		t.Errorf("not for people to read:\n%s", content)
	}
	before, _ := os.Stat(path)
	if before.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", before.Mode())
	}
	for range 5 {
		w.Notify()
		time.Sleep(15 * time.Millisecond)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) || d.count(WriteSuccess) != 1 {
		t.Errorf("written without a change: %v", d.outcomes)
	}
	w2, d2 := writeFile(t, path, "{\"tools\":[\n]}\n") // another process
	if v, err := w2.WriteNow(t.Context()); err != nil || v != version || len(d2.outcomes) != 0 {
		t.Errorf("a second run: %s, %v, %v", v, err, d2.outcomes)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// No reader ever sees half a file.
func TestFileWriterIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cm.yaml")
	_, d := writeFile(t, path, "0")
	testenv.Eventually(t, soon, "the file", func() bool { _, err := os.Stat(path); return err == nil })
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				d.set(strings.Repeat("x", 1<<18+i))
				time.Sleep(time.Millisecond)
			}
		}
	})
	reads := 0
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); reads++ {
		content, err := os.ReadFile(path)
		if err != nil || !bytes.HasSuffix(content, []byte("  namespace: monitoring\n")) {
			t.Fatalf("%v, %d bytes", err, len(content))
		}
	}
	close(done)
	wg.Wait()
	t.Logf("%d reads during %d writes", reads, d.count(WriteSuccess))
}

func TestFileWriterRefusals(t *testing.T) {
	dir := t.TempDir()
	w, _ := writeFile(t, dir, "x")
	if _, err := w.WriteNow(t.Context()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	w, d := writeFile(t, dir+"/none/cm.yaml", "x")
	if _, err := w.WriteNow(t.Context()); err == nil || !strings.Contains(err.Error(), "must exist") {
		t.Errorf("a missing folder: %v", err)
	}
	if err := os.Mkdir(dir+"/none", 0o755); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, soon, "a later try", func() bool { return d.count(WriteSuccess) == 1 })
	d.set(strings.Repeat("x", 1<<20+1))
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestFileWriterToStdout(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	d := &draft{docs: whole("one")}
	w := NewFileWriter("-", writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return out.Write(p) }), "n", "c", d.get, FileOptions{})
	d.notify = w.Notify
	clustertest.Background(t, w.Run)
	<-w.started
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.set("two")
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	found := strings.Split(out.String(), "---\n")
	if len(found) != 3 || !strings.Contains(found[1], "toolset.json: one") || !strings.Contains(found[2], "toolset.json: two") {
		t.Errorf("%q", out.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Documents that are too large for one ConfigMap are written as several in one file,
// which readers can put together; beyond the limit they are refused.
func TestManifestSplits(t *testing.T) {
	docs := many(2000, func(int) int { return 1000 })
	text, err := Manifest("n", "toolset", docs)
	if err != nil {
		t.Fatal(err)
	}
	maps := map[string]corev1.ConfigMap{}
	for _, one := range strings.Split(string(text), "\n---\n") {
		var cm corev1.ConfigMap
		if err := yaml.UnmarshalStrict([]byte(one), &cm); err != nil {
			t.Fatalf("%v: %.200s", err, one)
		}
		if cm.Namespace != "n" || cm.Labels[cluster.ManagedByLabel] != cluster.FieldManager {
			t.Errorf("%s: %v", cm.Name, cm.ObjectMeta)
		}
		maps[cm.Name] = cm
	}
	index := parseIndex("toolset", maps["toolset"].Data[IndexKey])
	if len(index) < 3 || len(maps) != len(index)+1 {
		t.Fatalf("%d ConfigMaps, index %v", len(maps), index)
	}
	var names []string
	for number := 1; number <= len(index); number++ {
		cm := maps[PartName("toolset", number)]
		doc := cm.Data[kubernaut.Key]
		if sum(sha256.Sum256([]byte(doc))) != index[number].sum || cm.Annotations[PartOfAnnotation] != "toolset" {
			t.Errorf("part %d is not what the index says", number)
		}
		names = append(names, toolNames(t, []string{doc})...)
	}
	if len(names) != 2000 {
		t.Errorf("%d toolsets", len(names))
	}
	if _, err := Manifest("n", "toolset", many(1, func(int) int { return 800 << 10 })); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
