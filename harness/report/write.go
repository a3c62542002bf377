package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// The names of the files.
const (
	pageFile     = "report.html"
	documentFile = "report.json"
	junitFile    = "junit.xml"
	requestsFile = "requests.ndjson.gz"
	pictureFile  = "timeline.svg"
)

// fixedDir is the folder beside them for the reports of the run with the changed manifest.
const fixedDir = "fixed"

// Remove deletes the reports that an earlier run left in dir, so that nobody takes them
// for those of a run without a verdict. It keeps other files.
func Remove(dir string) error {
	for _, name := range []string{pageFile, documentFile, junitFile, requestsFile, pictureFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the report of an earlier run: %w", err)
		}
	}
	if fixed := filepath.Join(dir, fixedDir); filepath.Base(dir) != fixedDir {
		return Remove(fixed)
	}
	return nil
}

// WriteAll writes all reports of a run to dir, which it creates if necessary, and
// returns their paths, report.html first. A file replaces an older one only once it is
// complete. The reports of run.Fixed are in a folder of their own. If one can't be written the others still are, and the error names each that
// is missing.
func WriteAll(dir string, run *record.Run) (files []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the reports: %w", err)
	}
	s := Aggregate(run)
	all := []struct {
		name  string
		write func(io.Writer) error
	}{
		{pageFile, func(w io.Writer) error { return writePage(w, run, s) }},
		{documentFile, func(w io.Writer) error { return writeDocument(w, run, s) }},
		{junitFile, func(w io.Writer) error { return writeJUnit(w, run, s) }},
		{requestsFile, func(w io.Writer) error { return writeRequests(w, run) }},
		{pictureFile, func(w io.Writer) error { return writePicture(w, run, s) }},
	}
	var problems []error
	if run.Fixed != nil {
		more, err := WriteAll(filepath.Join(dir, fixedDir), run.Fixed)
		if err != nil {
			problems = append(problems, err)
		}
		defer func() { files = append(files, more...) }()
	}
	for _, one := range all {
		path := filepath.Join(dir, one.name)
		if err := writeFile(path, one.write); err != nil {
			problems = append(problems, fmt.Errorf("write %s: %w", path, err))
			continue
		}
		files = append(files, path)
	}
	return files, errors.Join(problems...)
}

// writeFile writes a temporary file and renames it, so that a reader never finds half a
// file, and a failure keeps the old one.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	buffered := bufio.NewWriterSize(f, 64<<10)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil { // CreateTemp uses 0600
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
