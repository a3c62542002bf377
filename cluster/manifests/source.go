// Package manifests reads Services from a folder of Kubernetes YAML or JSON and follows
// changes in it. It takes the place of a cluster for laptops, tests and edge boxes
// without an API server. It may also be a single file, or standard input, which is read
// once (stream.go).
//
// A [Source] behaves like an API server to which the folder is applied again and again.
// It walks the folder (walk.go), within bounds (bounds.go), reads the files that have
// changed (read.go), finds the Services in them (parse.go, kind.go) and refuses those
// that an API server would refuse (refusal.go). It does so again when the system notifies
// it of a change, and from time to time in any case (follow.go). What can't be used is a
// [Problem], which is logged once (report.go).
//
// A Service that is refused stays as it was before, and a file that is not well-formed
// keeps its Services: half a file must not delete anything. A workload is only evidence: one
// that can't be read is no problem, and counts for nothing.
package manifests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// Options configure a Source. Only Sink is required.
type Options struct {
	Sink cluster.Sink
	// Workloads receives the workloads in the folder; nil for nobody.
	Workloads cluster.WorkloadSink
	Logger    *zap.Logger // default: none
	// Stdin is read if the name of the folder is "-"; default os.Stdin.
	Stdin io.Reader
	// MaxFiles, MaxTotalSize (in bytes, of all files together) and MaxDepth (of folders)
	// protect from a wrong folder, such as /. Defaults: 10,000 files of 256 MiB together,
	// in as many folders, 16 deep.
	MaxFiles     int
	MaxTotalSize int64
	MaxDepth     int
	// MaxFileSize (in bytes) and MaxObjects (documents, and objects in Lists) keep a
	// single file from delaying the others. A file beyond them is refused and keeps its
	// Services. Defaults: 10 MiB and 10,000 objects. See also bounds.go.
	MaxFileSize int64
	MaxObjects  int
	// Debounce is how long a file must not have changed before it is read, since somebody
	// may be writing it; default 20 ms.
	Debounce time.Duration
	// Poll is how often the folder is walked without a notification of a change, as on
	// network file systems; default 10 s. If there are no notifications at all it is at
	// most 1 s.
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

// maxProblems bounds the number of problems that Problems returns.
const maxProblems = 1000

// A Source reads the Services in a folder and its subfolders. It is a cluster.Source.
//
// It reads files named *.yaml, *.yml and *.json, except hidden ones ("."), or the one file that
// it was given, and in them v1 Services, also in a List, and workloads (workload.go). It follows symbolic links only within the folder. A mounted
// ConfigMap works, whose files are links that are switched all at once.
type Source struct {
	opts     Options
	log      *zap.Logger
	dir      string    // absolute
	only     string    // the name of the only file in dir that is read; empty for all
	stream   io.Reader // read instead of dir; nil for dir
	running  atomic.Bool
	ended    chan struct{}
	relists  chan chan error
	first    chan struct{} // closed, once, when the Sink has had the whole state
	synced   sync.Once
	follower *follower

	// These belong to the goroutine of Run.
	stopping   func() bool
	files      map[string]*file // by relative path
	state      map[types.NamespacedName]*corev1.Service
	said       map[string]*saidOf // what was logged, by file
	saidFolder saidOf

	// shown is state, for Find; a map that does not change any more.
	shown atomic.Pointer[map[types.NamespacedName]*corev1.Service]

	mu       sync.Mutex
	status   cluster.Availability
	problems []Problem
}

// New returns a source for a folder, or a file, which must exist; "-" is standard input.
func New(place string, opts Options) (*Source, error) {
	if opts.Sink == nil {
		return nil, errors.New("manifests: Options.Sink is required")
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	opts.MaxFiles = cmp.Or(opts.MaxFiles, 10_000)
	opts.MaxTotalSize = cmp.Or(opts.MaxTotalSize, 256<<20)
	opts.MaxFileSize = cmp.Or(opts.MaxFileSize, 10<<20)
	opts.MaxObjects = cmp.Or(opts.MaxObjects, 10_000)
	opts.MaxDepth = cmp.Or(opts.MaxDepth, 16)
	opts.Debounce = cmp.Or(opts.Debounce, 20*time.Millisecond)
	opts.Poll = cmp.Or(opts.Poll, 10*time.Second)
	m := &Source{
		opts: opts, log: opts.Logger,
		ended: make(chan struct{}), relists: make(chan chan error), first: make(chan struct{}),
		files: map[string]*file{}, said: map[string]*saidOf{},
		status: cluster.Availability{UnreachableSince: time.Now()},
	}
	if place == "-" {
		if m.stream = opts.Stdin; m.stream == nil {
			m.stream = os.Stdin
		}
		m.status.LastError = "standard input has not ended; pipe manifests into it"
		return m, nil
	}
	abs, err := filepath.Abs(place)
	if err != nil {
		return nil, fmt.Errorf("--manifests %s: %w", place, err)
	}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--manifests: %s cannot be read: %w", place, reason(err))
	case info.IsDir():
		m.dir = abs
	case info.Mode().IsRegular():
		m.dir, m.only = filepath.Dir(abs), filepath.Base(abs)
	default:
		return nil, fmt.Errorf("--manifests: %s is neither a folder nor a regular file; for what a program prints give - and pipe it into standard input", place)
	}
	return m, nil
}

// Run implements cluster.Source. It returns an error if, at the start, the folder can't
// be read or is so large that it can't be meant; later that is only reported.
func (m *Source) Run(ctx context.Context) error {
	if !m.running.CompareAndSwap(false, true) {
		return errors.New("manifests: Source.Run was called twice")
	}
	defer close(m.ended)
	if m.stream != nil {
		return m.runStream(ctx)
	}
	m.follower = newFollower(m)
	defer m.follower.close()
	m.stopping = func() bool { return ctx.Err() != nil }
	if err := m.look(lookAll); err != nil && !m.stopping() {
		return err
	}
	m.follower.run(ctx)
	return nil
}

// Relist implements cluster.Source. It reads every file again.
func (m *Source) Relist(ctx context.Context) error {
	if !m.running.Load() {
		return cluster.ErrNotRunning
	}
	done := make(chan error, 1)
	select {
	case m.relists <- done:
	case <-m.ended:
		return cluster.ErrNotRunning
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

// FirstSync implements cluster.Source.
func (m *Source) FirstSync() <-chan struct{} { return m.first }

// Status implements cluster.Source. Reachable tells whether the folder can be read.
func (m *Source) Status() cluster.Availability {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.status
	select {
	case <-m.first:
		a.Synced = true
	default:
	}
	return a
}

// Find implements cluster.Finder. It looks into what was last read of the folder.
func (m *Source) Find(_ context.Context, key service.Key) (*corev1.Service, []service.Key, error) {
	state := m.shown.Load()
	if state == nil {
		return nil, nil, cluster.ErrNotRunning
	}
	if svc := (*state)[types.NamespacedName{Namespace: key.Namespace, Name: key.Name}]; svc != nil {
		return svc, nil, nil
	}
	var others []service.Key
	for name := range *state {
		if name.Namespace == key.Namespace || name.Name == key.Name {
			others = append(others, service.Key{Namespace: name.Namespace, Name: name.Name})
		}
	}
	return nil, others, nil
}

// Problems returns what is wrong in the folder now, sorted by file; at most 1,000.
func (m *Source) Problems() []Problem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Problem(nil), m.problems...)
}
