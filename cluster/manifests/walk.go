package manifests

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/cluster"
)

// A walk finds the manifests below a folder.
type walk struct {
	m        *Source
	root     *os.Root
	entries  map[string]os.FileInfo // manifests by relative path
	folders  []string               // relative paths
	problems map[string]string      // by relative path
	seen     int                    // directory entries of any kind
	size     int64                  // of those manifests that are not too large each, bytes
}

func isManifest(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// isRead reports whether a file below the folder is one of those that are read.
func (m *Source) isRead(rel, base string) bool {
	if m.only != "" {
		return rel == m.only
	}
	return isManifest(base)
}

// single collects the only file that is read. It is an error if it is missing: then the
// state stays as it was, as with a folder that is missing.
func (w *walk) single(name string) error {
	w.m.follower.watch(".")
	w.folders = append(w.folders, ".")
	if _, err := w.root.Stat(name); err != nil {
		return fmt.Errorf("%s cannot be read: %w", cluster.Clean(name), reason(err))
	}
	w.file(name)
	return nil
}

// folder collects what is in one folder and below.
func (w *walk) folder(dir string, depth int) error {
	if depth > w.m.opts.MaxDepth {
		return fmt.Errorf("folders are nested more than %d deep at %s; give a folder that holds manifests only", w.m.opts.MaxDepth, cluster.Clean(dir))
	}
	// Watched before it is read: what appears during the reading then causes a
	// notification.
	w.m.follower.watch(dir)
	w.folders = append(w.folders, dir)
	if len(w.folders) > w.m.opts.MaxFiles {
		return fmt.Errorf("the folder holds more than %d folders; give a folder that holds manifests only", w.m.opts.MaxFiles)
	}
	entries, err := w.list(dir)
	if err != nil {
		if dir == "." {
			return fmt.Errorf("the folder cannot be read: %w", reason(err))
		}
		if !errors.Is(err, fs.ErrNotExist) { // otherwise it has just been removed
			w.problem(dir, "the folder cannot be read; what it had is kept: "+reason(err).Error())
		}
		return nil
	}
	if w.seen > 10*w.m.opts.MaxFiles {
		return fmt.Errorf("the folder holds more than %d files of all kinds; give a folder that holds manifests only", 10*w.m.opts.MaxFiles)
	}
	for _, e := range entries {
		rel := path.Join(dir, e.Name())
		switch {
		case e.IsDir() && !strings.HasPrefix(e.Name(), "."):
			if err := w.folder(rel, depth+1); err != nil {
				return err
			}
		case !e.IsDir() && isManifest(e.Name()):
			w.file(rel)
		}
	}
	if len(w.entries) > w.m.opts.MaxFiles {
		return fmt.Errorf("the folder holds more than %d manifests; give a smaller folder, or put several objects into one file", w.m.opts.MaxFiles)
	}
	if w.size > w.m.opts.MaxTotalSize {
		return fmt.Errorf("the folder holds more than %d bytes of manifests; give a smaller folder", w.m.opts.MaxTotalSize)
	}
	return nil
}

// list returns the entries of a folder, but no more than are allowed.
func (w *walk) list(dir string) ([]fs.DirEntry, error) {
	f, err := w.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	var all []fs.DirEntry
	for {
		some, err := f.ReadDir(1000)
		all = append(all, some...)
		w.seen += len(some)
		switch {
		case errors.Is(err, io.EOF):
			// Sorted, so that what is reported does not change.
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			return all, nil
		case err != nil:
			return nil, err
		case w.seen > 10*w.m.opts.MaxFiles:
			return all, nil
		}
	}
}

func (w *walk) file(rel string) {
	info, err := w.root.Stat(rel) // follows links, but never out of the folder
	switch {
	case errors.Is(err, fs.ErrNotExist): // just removed, or a dangling link
		if _, err := w.root.Lstat(rel); err == nil {
			w.problem(rel, "is a link to nothing")
		}
	case err != nil:
		w.problem(rel, "is not read: "+reason(err).Error()+" (links are followed inside the folder only)")
	case info.IsDir(): // a link to a folder: its files are found at their own path
	case !info.Mode().IsRegular():
		w.problem(rel, "is not a regular file")
	default:
		w.entries[rel] = info
		if info.Size() <= w.m.opts.MaxFileSize {
			w.size += info.Size()
		}
	}
}

func (w *walk) problem(rel, text string) {
	if w.problems == nil {
		w.problems = map[string]string{}
	}
	w.problems[rel] = cluster.Clean(text)
}

// unknown reports whether rel may exist although it was not found.
func (w *walk) unknown(rel string) bool {
	for p := range w.problems {
		if rel == p || strings.HasPrefix(rel, p+"/") {
			return true
		}
	}
	return false
}
