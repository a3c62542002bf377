package manifests

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// A file is read alone, whatever its name, and followed.
func TestASingleFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rendered.txt")
	put(t, file, yamlService("first"))
	put(t, filepath.Join(dir, "other.yaml"), yamlService("other"))
	m, sink := follow(t, file, Options{Poll: 50 * time.Millisecond})
	if got := sink.Names(); got != "default/first" {
		t.Fatal(got)
	}
	put(t, filepath.Join(dir, "other.yaml"), yamlService("another"))
	put(t, file, yamlService("second"))
	sink.WantNames(t, soon, "default/second")
	// A file that is missing is like a cluster that can't be reached.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, soon, "the missing file is noticed", func() bool { return !m.Status().Reachable })
	if got := sink.Names(); got != "default/second" || !strings.Contains(m.Status().LastError, "rendered.txt cannot be read") {
		t.Errorf("%q %+v", got, m.Status())
	}
	put(t, file, yamlService("third"))
	sink.WantNames(t, soon, "default/third")
}

// Changes of the file are told by the system, as those of a folder are.
func TestASingleFileByEvents(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rendered.txt")
	put(t, file, yamlService("first"))
	_, sink := follow(t, file, Options{Poll: time.Hour})
	if err := os.WriteFile(file, []byte(yamlService("second")), 0o600); err != nil {
		t.Fatal(err)
	}
	sink.WantNames(t, soon, "default/second")
}

// Standard input is read once, to its end.
func TestStandardInput(t *testing.T) {
	in, out := io.Pipe()
	sink := clustertest.NewSink()
	m, err := New("-", Options{Sink: sink, Stdin: in})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if s := m.Status(); s.Synced || !strings.Contains(s.LastError, "standard input has not ended") {
		t.Errorf("%+v", s)
	}
	if _, err := io.WriteString(out, yamlService("piped")+"---\napiVersion: v1\nkind: Service\nmetadata: {name: Wrong}\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.FirstSync():
		t.Fatal("it has been read before its end")
	default:
	}
	out.Close()
	<-m.FirstSync()
	if got := sink.Names(); got != "default/piped" || !m.Status().Reachable {
		t.Errorf("%q %+v", got, m.Status())
	}
	if p := m.Problems(); len(p) != 1 || p[0].File != "standard input" {
		t.Errorf("%v", p)
	}
	if err := m.Relist(t.Context()); err != nil {
		t.Error(err)
	}
	if svc, _, err := m.Find(t.Context(), service.Key{Namespace: "default", Name: "piped"}); svc == nil || err != nil {
		t.Error(svc, err)
	}
}

// Nothing waits for a standard input that never ends, and none is read without end.
func TestStandardInputIsBounded(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	m, err := New("-", Options{Sink: clustertest.NewSink(), Stdin: in})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx); err != nil {
		t.Error(err)
	}
	m, _ = follow(t, "-", Options{Stdin: endless{}, MaxFileSize: 1000})
	if p := m.Problems(); len(p) != 1 || !strings.Contains(p[0].Message, "is larger than 1000 bytes; write it to several files in a folder") {
		t.Errorf("%v", p)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, "# "), nil }
