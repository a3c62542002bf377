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

// The names of the reports.
const (
	pageFile     = "report.html"
	documentFile = "report.json"
	junitFile    = "junit.xml"
	requestsFile = "requests.ndjson.gz"
	pictureFile  = "timeline.svg"
)

// Remove removes the reports that an earlier run has left in a directory, so that
// nobody takes them for those of a run that comes to no verdict. Other files stay.
func Remove(dir string) error {
	for _, name := range []string{pageFile, documentFile, junitFile, requestsFile, pictureFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the report of an earlier run: %w", err)
		}
	}
	return nil
}

// WriteAll writes every report of a run into a directory, which is made where
// it is missing, and gives the files' paths, the page for people first. A file
// appears only when it is whole, in place of one of the same name. When one
// can't be written the others still are; the error names each that is missing.
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

// writeFile writes beside the path first, so that a reader never finds half a
// file, nor a failed run the loss of an older report.
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
	if err := f.Chmod(0o644); err != nil { // CreateTemp's 0600 is for secrets
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
