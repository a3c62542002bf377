package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ManifestsOptions tune a Manifests source. Only Sink is required.
type ManifestsOptions struct {
	Sink   Sink
	Logger *zap.Logger // default: none
	// MaxFiles, MaxTotalSize (bytes of all of them) and MaxDepth (of folders) keep a
	// mistaken folder, such as /, from being read. Default 10,000 files of 256 MiB
	// together, in as many folders, 16 deep.
	MaxFiles     int
	MaxTotalSize int64
	MaxDepth     int
	// MaxFileSize (bytes) and MaxObjects (documents, and objects in Lists) keep a
	// single file from holding up the others. One that is larger is refused and keeps
	// what it had. Default 10 MiB, 10,000 objects. See also manifests_bounds.go.
	MaxFileSize int64
	MaxObjects  int
	// Debounce is how long a file must be left alone before it is read; default
	// 20 ms. Someone may be writing it.
	Debounce time.Duration
	// Poll is how often the folder is looked through although nothing announced
	// a change, as on network file systems; default 10 s. Without any change
	// notification it is 1 s at most.
	Poll time.Duration
}

// A Problem is something in the folder that could not be used.
type Problem struct {
	File    string `json:"file"`             // relative to the folder, with slashes
	Object  string `json:"object,omitempty"` // namespace/name or place in the file, if known
	Message string `json:"message"`
}

func (p Problem) String() string {
	if p.Object == "" {
		return p.File + ": " + p.Message
	}
	return p.File + ": " + p.Object + ": " + p.Message
}

// maxProblems bounds what Problems returns.
const maxProblems = 1000

// Manifests is the Source that reads Kubernetes YAML or JSON from a folder and
// its subfolders, and follows changes to them: the embedded cluster. Files
// named *.yaml, *.yml and *.json count; hidden ones (".") do not. Of the
// objects in them, v1 Services count, also inside a List.
//
// It does what an API server to which the folder is applied again and again
// would do. A Service that one would refuse is reported and not taken; if it was
// fine before, it stays as it was. A file that is not well-formed keeps the
// Services it had when it last was, since half a file must not delete anything.
// Symbolic links are followed inside the folder only; a mounted ConfigMap, whose
// files are links that are switched all at once, works.
type Manifests struct {
	opts     ManifestsOptions
	log      *zap.Logger
	dir      string // absolute
	running  atomic.Bool
	ended    chan struct{}
	relists  chan chan error
	first    chan struct{}
	follower *follower

	// Owned by the goroutine of Run.
	stopping   func() bool
	files      map[string]*file // by relative path
	state      map[types.NamespacedName]*corev1.Service
	said       map[string]*saidOf // by file; what was logged
	saidFolder saidOf

	mu       sync.Mutex
	status   Availability
	problems []Problem
}

// NewManifests returns a source for the folder dir, which must exist.
func NewManifests(dir string, opts ManifestsOptions) (*Manifests, error) {
	if opts.Sink == nil {
		return nil, errors.New("cluster: ManifestsOptions.Sink is required")
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	orDefault(&opts.MaxFiles, 10_000)
	orDefault(&opts.MaxTotalSize, 256<<20)
	orDefault(&opts.MaxFileSize, 10<<20)
	orDefault(&opts.MaxObjects, 10_000)
	orDefault(&opts.MaxDepth, 16)
	orDefault(&opts.Debounce, 20*time.Millisecond)
	orDefault(&opts.Poll, 10*time.Second)
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("--manifests %s: %w", dir, err)
	}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--manifests: the folder cannot be read: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("--manifests: %s is not a folder; give the folder that holds the manifests", dir)
	}
	return &Manifests{
		opts: opts, log: opts.Logger, dir: abs,
		ended: make(chan struct{}), relists: make(chan chan error), first: make(chan struct{}),
		files: map[string]*file{}, said: map[string]*saidOf{},
		status: Availability{UnreachableSince: time.Now()},
	}, nil
}

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Run implements Source. The error says that the folder is too large to be
// meant, or cannot be read, when it begins; later that is only reported.
func (m *Manifests) Run(ctx context.Context) error {
	if !m.running.CompareAndSwap(false, true) {
		return errors.New("cluster: Manifests.Run was called twice")
	}
	defer close(m.ended)
	m.follower = newFollower(m)
	defer m.follower.close()
	m.stopping = func() bool { return ctx.Err() != nil }
	if err := m.look(lookAll); err != nil && !m.stopping() {
		return err
	}
	m.follower.run(ctx)
	return nil
}

// Relist implements Source: it reads every file again.
func (m *Manifests) Relist(ctx context.Context) error {
	if !m.running.Load() {
		return ErrNotRunning
	}
	done := make(chan error, 1)
	select {
	case m.relists <- done:
	case <-m.ended:
		return ErrNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the folder was not read in time: %w", context.Cause(ctx))
	}
}

// Synced implements Source.
func (m *Manifests) Synced() bool { return isClosed(m.first) }

// FirstSync implements Source.
func (m *Manifests) FirstSync() <-chan struct{} { return m.first }

// Status implements Source. Reachable is whether the folder can be read.
func (m *Manifests) Status() Availability {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.status
	a.Synced = m.Synced()
	return a
}

// Problems returns what is wrong in the folder now, by file; at most 1000.
func (m *Manifests) Problems() []Problem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Problem(nil), m.problems...)
}
