package manifests

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// A file is what is known about one manifest.
type file struct {
	info      os.FileInfo // when it was read; of the target if it is a link
	services  []*corev1.Service
	workloads []*service.Workload
	problems  []Problem // File is the path
	emptied   time.Time // when it was first found empty although it had Services
}

// A thoroughness says how much of the folder is read.
type thoroughness int

const (
	lookKnown   thoroughness = iota // the files for which there was a notification
	lookChanged                     // all folders, and files that look different
	lookAll                         // all folders and all files; then Sink.Replace
)

// emptyGrace is how long an empty file keeps its Services: programs truncate a file
// before they write it.
const emptyGrace = 500 * time.Millisecond

// look brings state and Sink up to date with the folder. An error means that the folder
// as a whole could not be read, and that nothing has changed.
func (m *Source) look(how thoroughness) error {
	root, err := os.OpenRoot(m.dir)
	if err == nil {
		defer root.Close()
		err = m.read(root, how)
	}
	if m.stopping() {
		return cluster.ErrNotRunning // not everything may have been read
	}
	// Reading single files tells nothing about the folder as a whole.
	if err != nil || how != lookKnown {
		m.setReachable(err)
	}
	if err != nil {
		return fmt.Errorf("--manifests: %w", err)
	}
	m.apply(how == lookAll)
	return nil
}

func (m *Source) read(root *os.Root, how thoroughness) error {
	if how == lookKnown {
		if s := m.Status(); s.Synced && !s.Reachable {
			m.follower.takeDue() // the state stays as it was, and the next walk finds these files
			return nil
		}
		for path := range m.follower.takeDue() {
			info, err := root.Stat(path)
			if err != nil || !info.Mode().IsRegular() {
				m.follower.walkSoon() // it is gone, or no longer a file
				continue
			}
			m.readFile(root, path, info)
		}
		return nil
	}
	m.follower.verify()
	w := &walk{m: m, root: root, entries: map[string]os.FileInfo{}}
	var err error
	if m.only != "" {
		err = w.single(m.only)
	} else {
		err = w.folder(".", 0)
	}
	if err != nil {
		return err
	}
	due := m.follower.takeDue()
	for path, info := range w.entries {
		f := m.files[path]
		switch {
		case how == lookAll || due[path]:
			m.readFile(root, path, info)
		case m.follower.isBusy(path):
		case f != nil && !changed(f.info, info):
		case time.Since(info.ModTime()).Abs() < m.opts.Debounce:
			m.follower.touched(path) // found by the walk, and perhaps still being written
		default:
			m.readFile(root, path, info)
		}
	}
	maps.DeleteFunc(m.files, func(path string, _ *file) bool {
		_, there := w.entries[path]
		return !there && !w.unknown(path)
	})
	for path, problem := range w.problems {
		f := m.files[path]
		if f == nil {
			f = &file{}
			m.files[path] = f
		}
		f.info, f.problems = nil, []Problem{{File: cluster.Clean(path), Message: problem}}
	}
	m.follower.forget(w.folders)
	return nil
}

func changed(a, b os.FileInfo) bool {
	return a == nil || !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())
}

// readFile reads one file. If it can't be used, it keeps its Services.
func (m *Source) readFile(root *os.Root, path string, info os.FileInfo) {
	f := m.files[path]
	if f == nil {
		f = &file{}
		m.files[path] = f
	}
	if m.stopping() {
		return
	}
	data, err := readBounded(root, path, info, m.opts.MaxFileSize)
	after, statErr := root.Stat(path)
	if statErr != nil || changed(info, after) {
		m.follower.touched(path) // it has changed while it was read
		if f.info != nil || statErr != nil {
			return
		}
	}
	f.info = info
	if err != nil {
		f.refuse(cluster.Clean(path), err.Error(), "")
		return
	}
	if len(bytes.TrimSpace(data)) == 0 && len(f.services) > 0 {
		if f.emptied.IsZero() {
			f.emptied = time.Now()
		}
		if left := emptyGrace - time.Since(f.emptied); left > 0 {
			m.follower.touchedFor(path, left)
			return
		}
	}
	f.emptied = time.Time{}
	m.understand(f, path, data)
}

// understand makes f hold what is in data, if that can be used.
func (m *Source) understand(f *file, path string, data []byte) {
	found, err := parseManifests(data, m.opts.MaxObjects, m.stopping)
	if errors.Is(err, errStopped) {
		return
	}
	if _, refused := errors.AsType[tooMuch](err); refused {
		f.refuse(cluster.Clean(path), err.Error(), "")
		return
	}
	if err != nil {
		what := "is not well-formed"
		if isTemplate(data) {
			what = "seems to be a template of Helm; render it first (helm template), or keep it in another folder"
		}
		f.refuse(cluster.Clean(path), what, ": "+err.Error())
		return
	}
	if isCompanion(path) {
		found = slices.DeleteFunc(found, func(d finding) bool { return d.foreign })
	}
	f.take(cluster.Clean(path), found)
}

// isTemplate reports whether a file that is not YAML has a line that begins like an
// action of a Go template, of which Helm charts consist.
func isTemplate(data []byte) bool {
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{{")) {
			return true
		}
	}
	return false
}

// refuse notes that the file as a whole can't be used; it keeps its Services.
func (f *file) refuse(path, what, why string) {
	if len(f.services) > 0 {
		what += "; the Services it had are kept"
	}
	f.problems = []Problem{{File: path, Message: cluster.Clean(what + why)}}
}

// take makes found the content of the file. A Service that is refused stays as it was.
func (f *file) take(path string, found []finding) {
	old := make(map[types.NamespacedName]*corev1.Service, len(f.services))
	for _, svc := range f.services {
		old[keyOf(svc)] = svc
	}
	f.services, f.workloads, f.problems = nil, nil, nil
	for _, d := range found {
		if d.workloads != nil {
			f.workloads = append(f.workloads, d.workloads...)
			continue
		}
		svc := d.service
		if d.problem != "" {
			if len(f.problems) < maxProblems {
				f.problems = append(f.problems, Problem{path, d.where, d.problem})
			}
			if svc = old[d.key]; svc == nil {
				continue
			}
		} else if o := old[d.key]; o != nil && equality.Semantic.DeepEqual(o, svc) {
			svc = o // the same pointer, so nothing has changed for the Sink
		}
		f.services = append(f.services, svc)
	}
}

func keyOf(svc *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}
}

func readBounded(root *os.Root, path string, info os.FileInfo, limit int64) ([]byte, error) {
	tooLarge := fmt.Errorf("is larger than %d bytes, which no manifest should be; split it", limit)
	if info.Size() > limit {
		return nil, tooLarge
	}
	// Non-blocking: if it has just become a pipe, perhaps nobody ever writes to it.
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, reason(err)
	case int64(len(data)) > limit:
		return nil, tooLarge
	}
	return data, nil
}

// reason returns err without the path, which the message has elsewhere.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// apply passes the differences between files and state to the Sink, or the whole state if
// whole is set.
func (m *Source) apply(whole bool) {
	next := make(map[types.NamespacedName]*corev1.Service, len(m.state))
	from := make(map[types.NamespacedName]string, len(m.state))
	var problems []Problem
	var workloads workloadSet
	// In the order of the paths, so that of several Services with one name it is always
	// the same one that counts: the first.
	for _, path := range slices.Sorted(maps.Keys(m.files)) {
		f := m.files[path]
		workloads.add(f.workloads)
		problems = append(problems, f.problems...)
		for _, svc := range f.services {
			key := keyOf(svc)
			if _, dup := next[key]; dup {
				problems = append(problems, Problem{cluster.Clean(path), key.String(),
					fmt.Sprintf("the same Service is also in %s, which is used", cluster.Clean(from[key]))})
				continue
			}
			next[key], from[key] = svc, path
		}
	}
	if m.opts.Workloads != nil { // first, so that Services are recognised by them at once
		m.opts.Workloads.ReplaceWorkloads("", "", workloads.all)
	}
	old := m.state
	m.state = next
	m.shown.Store(&next)
	if whole || old == nil {
		services := slices.SortedFunc(maps.Values(next), func(a, b *corev1.Service) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
		m.opts.Sink.Replace(services)
	} else {
		// New ones first, so that a Service that was moved to another file is never
		// missing.
		for key, svc := range next {
			if old[key] != svc {
				m.opts.Sink.Upsert(svc)
			}
		}
		for key := range old {
			if next[key] == nil {
				m.opts.Sink.Delete(key.Namespace, key.Name)
			}
		}
	}
	m.report(problems)
	m.synced.Do(func() { close(m.first) })
}
