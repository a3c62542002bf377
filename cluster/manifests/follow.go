package manifests

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

// Bounds on how long a change waits for further ones.
const (
	maxFileWait = 2 * time.Second        // of a file that is written all the time
	maxWalkWait = 250 * time.Millisecond // of a folder whose files change all the time
	blindPoll   = time.Second            // interval of polls without notifications
)

// A follower is notified of changes in the folder, and has them read once they have
// stopped. It belongs to the goroutine of Source.Run.
type follower struct {
	m       *Source
	watcher *fsnotify.Watcher      // nil if the system has none
	folders map[string]os.FileInfo // watched, by relative path
	blind   bool                   // some folder is not watched

	busy    map[string]lull // files that have changed
	walking lull            // the folder itself has
}

// A lull is a time without changes that is waited for: first is the first change, due the
// end of the wait.
type lull struct{ first, due time.Time }

func (w lull) extend(now time.Time, quiet, limit time.Duration) lull {
	if w.first.IsZero() {
		w.first = now
	}
	w.due = now.Add(quiet)
	if last := w.first.Add(limit); w.due.After(last) {
		w.due = last
	}
	return w
}

func newFollower(m *Source) *follower {
	f := &follower{m: m, folders: map[string]os.FileInfo{}, busy: map[string]lull{}}
	var err error
	if f.watcher, err = fsnotify.NewWatcher(); err != nil {
		f.watcher = nil
		f.lostSight(err)
		return f
	}
	// The folder itself may be replaced, as git-sync does. A watch of the folder would
	// stay with the old one.
	if parent := filepath.Dir(m.dir); parent != m.dir {
		_ = f.watcher.Add(parent) // if this fails, polls notice it later
	}
	return f
}

func (f *follower) close() {
	if f.watcher != nil {
		f.watcher.Close()
	}
}

func (f *follower) lostSight(err error) {
	if !f.blind {
		f.m.log.Warn("The system does not announce changes to the manifests folder; it is looked through every second instead "+
			"(on Linux, fs.inotify.max_user_watches and max_user_instances may be too low)", zap.Error(err))
	}
	f.blind = true
}

// verify ends the watches of folders that have been moved or replaced. It must come
// before new watches are added, since a folder that was only renamed still has its watch.
func (f *follower) verify() {
	for rel, known := range f.folders {
		if info, err := os.Stat(filepath.Join(f.m.dir, rel)); err != nil || !os.SameFile(known, info) {
			f.gone(rel)
		}
	}
}

// watch starts to watch the folder with this relative path.
func (f *follower) watch(rel string) {
	if f.watcher == nil || f.folders[rel] != nil {
		return
	}
	full := filepath.Join(f.m.dir, rel)
	info, err := os.Stat(full)
	if err != nil {
		return // the walk will notice
	}
	if err := f.watcher.Add(full); err != nil {
		f.lostSight(err)
		return
	}
	f.folders[rel] = info
}

// forget ends the watches of folders that are not in current.
func (f *follower) forget(current []string) {
	keep := make(map[string]bool, len(current))
	for _, rel := range current {
		keep[rel] = true
	}
	for rel := range f.folders {
		if !keep[rel] {
			f.gone(rel)
		}
	}
}

func (f *follower) gone(rel string) {
	if f.folders[rel] != nil {
		_ = f.watcher.Remove(filepath.Join(f.m.dir, rel)) // usually gone already
		delete(f.folders, rel)
	}
}

// touched and touchedFor note that a file has changed. It is read once nothing has
// happened to it for a while.
func (f *follower) touched(rel string) {
	f.busy[rel] = f.busy[rel].extend(time.Now(), f.m.opts.Debounce, maxFileWait)
}

func (f *follower) touchedFor(rel string, d time.Duration) {
	f.busy[rel] = lull{}.extend(time.Now(), d, d)
}

func (f *follower) isBusy(rel string) bool { _, busy := f.busy[rel]; return busy }

func (f *follower) walkSoon() {
	f.walking = f.walking.extend(time.Now(), f.m.opts.Debounce, maxWalkWait)
}

// takeDue returns the files that should be read now, and removes them from busy.
func (f *follower) takeDue() map[string]bool {
	due := map[string]bool{}
	// Files that are due a moment later are taken too: files that were changed together
	// should appear together.
	limit := time.Now().Add(f.m.opts.Debounce / 4)
	for rel, w := range f.busy {
		if w.due.Before(limit) {
			due[rel] = true
			delete(f.busy, rel)
		}
	}
	return due
}

// run follows changes until ctx ends.
func (f *follower) run(ctx context.Context) {
	var events chan fsnotify.Event
	var failures chan error
	if f.watcher != nil {
		events, failures = f.watcher.Events, f.watcher.Errors
	}
	poll := time.Now().Add(f.pollInterval())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(f.next(poll)))
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			f.event(ev)
		case err, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			// Usually an overflow: more changes than the kernel remembers.
			f.m.log.Debug("Change notifications were lost; looking through the folder", zap.Error(err))
			f.walkSoon()
		case done := <-f.m.relists:
			f.walking = lull{}
			done <- f.m.look(lookAll)
		case now := <-timer.C:
			switch {
			case !now.Before(poll) || !f.walking.due.IsZero() && !now.Before(f.walking.due):
				f.walking = lull{}
				_ = f.m.look(lookChanged) // reported by Status and the log
				poll = time.Now().Add(f.pollInterval())
			default:
				_ = f.m.look(lookKnown)
			}
		}
	}
}

func (f *follower) pollInterval() time.Duration {
	if f.blind || len(f.folders) == 0 || !f.m.Status().Reachable {
		return min(blindPoll, f.m.opts.Poll)
	}
	return f.m.opts.Poll
}

// next returns the time of the next thing to do.
func (f *follower) next(poll time.Time) time.Time {
	at := poll
	if d := f.walking.due; !d.IsZero() && d.Before(at) {
		at = d
	}
	for _, w := range f.busy {
		if w.due.Before(at) {
			at = w.due
		}
	}
	return at
}

func (f *follower) event(ev fsnotify.Event) {
	if ev.Name == f.m.dir { // the folder itself
		if ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename) || ev.Has(fsnotify.Create) {
			f.gone(".")
		}
		f.walkSoon()
		return
	}
	rel, inside := strings.CutPrefix(ev.Name, f.m.dir+string(filepath.Separator))
	if !inside {
		return // something next to the folder
	}
	rel = filepath.ToSlash(rel)
	base := filepath.Base(rel)
	if strings.HasPrefix(base, ".") && base != dataLink && rel != f.m.only {
		return
	}
	moved := ev.Has(fsnotify.Create) || ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename)
	if f.folders[rel] != nil {
		if moved {
			f.gone(rel)
		}
		f.walkSoon()
		return
	}
	if moved {
		f.walkSoon()
	}
	if f.m.isRead(rel, base) && !ev.Has(fsnotify.Remove) && !ev.Has(fsnotify.Rename) {
		f.touched(rel)
	}
}

// dataLink is the name of the link by which a kubelet switches all files of a mounted
// ConfigMap at once (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go).
const dataLink = "..data"
