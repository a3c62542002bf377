package configmap

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
	"kubernaut.io/dynamic-toolset/service"
)

// FileOptions tune a FileWriter. All are optional. The functions are called from the goroutine
// of Run and must not block.
type FileOptions struct {
	Logger *zap.Logger
	// MinInterval, OnWrite: see Options.
	MinInterval time.Duration
	OnWrite     func(outcome string)
	// OnVersion is told each new version of the content.
	OnVersion func(version string)
}

func (o *FileOptions) defaults() {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.MinInterval = cmp.Or(o.MinInterval, minInterval)
	if o.OnWrite == nil {
		o.OnWrite = func(string) {}
	}
	if o.OnVersion == nil {
		o.OnVersion = func(string) {}
	}
}

// A FileWriter writes the ConfigMap that a Writer would keep in a cluster as YAML to a
// file or to standard output. It is for a folder of manifests in place of a cluster, and
// for GitOps.
type FileWriter struct {
	requestQueue
	path      string // "-" is stdout
	stdout    io.Writer
	ns, name  string
	documents func() []service.Document
	opts      FileOptions
	log       *zap.Logger
	running   atomic.Bool
	version   atomic.Pointer[string]
	last      []byte // written last
}

// NewFileWriter returns a writer to path, or to stdout if path is "-". A file is replaced
// at once, by renaming a complete one, so that no reader sees half of it; its folder must
// exist. documents is as for NewWriter. A version is a hash of the content.
func NewFileWriter(path string, stdout io.Writer, namespace, name string, documents func() []service.Document, opts FileOptions) *FileWriter {
	opts.defaults()
	return &FileWriter{requestQueue: newRequestQueue(), path: path, stdout: stdout, ns: namespace, name: name,
		documents: documents, opts: opts, log: opts.Logger.With(zap.String("file", path))}
}

// Version returns a hash of the content that was last written; empty before that.
func (w *FileWriter) Version() string {
	if v := w.version.Load(); v != nil {
		return *v
	}
	return ""
}

// Run writes until ctx ends. It must be called once. A write that fails is tried again.
func (w *FileWriter) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("configmap: FileWriter.Run was called twice")
	}
	close(w.started)
	defer close(w.ended)
	if w.path != "-" {
		w.last, _ = os.ReadFile(w.path) // so that a file that is right already is not written
	}
	var requests []request
	backoff := firstRetry
	for {
		wrote, err := w.write()
		for _, r := range requests {
			r <- answer{w.Version(), err}
		}
		requests = nil
		var again <-chan time.Time
		if err != nil && !errors.Is(err, errNoDocument) {
			w.log.Error("The ConfigMap could not be written to the file; it is tried again", zap.Error(err))
			again = time.After(retry.Jitter(backoff, 0.2))
			backoff = min(2*backoff, hopelessRetry)
		} else {
			backoff = firstRetry
		}
		if wrote && !retry.Sleep(ctx, w.opts.MinInterval) {
			return nil
		}
		select {
		case <-w.notify:
		case <-again:
		case r := <-w.requests:
			requests = w.more(r)
		case <-ctx.Done():
			return nil
		}
	}
}

// write brings the file up to date, and reports whether it had to write.
func (w *FileWriter) write() (wrote bool, err error) {
	docs := w.documents()
	if docs == nil {
		return false, errNoDocument
	}
	content, err := Manifest(w.ns, w.name, docs)
	if err != nil {
		w.opts.OnWrite(outcome(err))
		return false, err
	}
	if !bytes.Equal(content, w.last) {
		if err := w.put(content); err != nil {
			w.opts.OnWrite(WriteError)
			return true, err
		}
		wrote, w.last = true, content
		w.opts.OnWrite(WriteSuccess)
	}
	sum := sha256.Sum256(content)
	version := hex.EncodeToString(sum[:8])
	if old := w.version.Swap(&version); old == nil || *old != version {
		w.opts.OnVersion(version)
	}
	return wrote, nil
}

func (w *FileWriter) put(content []byte) error {
	if w.path == "-" {
		_, err := w.stdout.Write(append([]byte("---\n"), content...))
		return err
	}
	if info, err := os.Stat(w.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file, and would be replaced by one; use - for standard output", w.path)
	}
	return replaceFile(w.path, content)
}

// Manifest returns the ConfigMap that a Writer would keep, as YAML. If the documents are
// too large for one, it returns several YAML documents: the parts, and then the ConfigMap
// with the index. An error wraps errTooLarge.
func Manifest(namespace, name string, docs []service.Document) ([]byte, error) {
	data := map[string]string{}
	if sizeOf(docs) <= defaultLimits.whole {
		for i := range docs {
			data[docs[i].Key] = string(docs[i].Bytes())
		}
		return manifest(namespace, name, nil, data)
	}
	parts, err := splitAll(docs, defaultLimits)
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	places := make([]placed, 0, len(parts))
	for i, p := range parts {
		places = append(places, placed{i + 1, p})
		b, err := manifest(namespace, PartName(name, i+1), map[string]string{PartOfAnnotation: name}, map[string]string{p.doc.Key: string(p.doc.Bytes())})
		if err != nil {
			return nil, err
		}
		all.Write(b)
		all.WriteString("---\n")
	}
	data[IndexKey] = string(indexOf(name, places))
	b, err := manifest(namespace, name, map[string]string{PartsAnnotation: strconv.Itoa(len(places))}, data)
	all.Write(b)
	return all.Bytes(), err
}

func manifest(namespace, name string, annotations, data map[string]string) ([]byte, error) {
	metadata := map[string]any{
		"name": name, "namespace": namespace,
		"labels": map[string]string{cluster.ManagedByLabel: cluster.FieldManager},
	}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	return yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
}

// replaceFile replaces the content of path completely or not at all, even if the machine
// loses power.
func replaceFile(path string, content []byte) (err error) {
	// In the same folder, since a rename works only within a file system. The name is
	// hidden and does not end in .yaml, so that nothing takes the file for a manifest.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("%w; the folder must exist and be writable", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
