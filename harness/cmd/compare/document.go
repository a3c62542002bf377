package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The generated section of the document is between these marks.
const (
	beginMark = "<!-- compare: begin. From here to the end mark the command below writes; the rest is written by hand. -->\n"
	endMark   = "<!-- compare: end -->\n"
)

// newDocument is the content if there is no document yet.
const newDocument = `# The same verdicts on every cluster

The [server with planted defects](README.md#is-the-verifier-right), and the same server without one ("right"), verified
on several kinds of clusters: one rolling restart of two replicas each, under the load of four client classes. The right
server must pass, each defect must be caught.

` + beginMark + endMark + `
## Differences

`

// A document has a generated section, and text written by hand around it.
type document struct {
	path          string
	before, after string
}

// readDocument reads the document at path. If there is none, it returns a new one.
func readDocument(path string) (*document, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = []byte(newDocument)
	case err != nil:
		return nil, err
	}
	before, rest, _ := strings.Cut(string(text), beginMark)
	_, after, ordered := strings.Cut(rest, endMark)
	if !ordered || strings.Count(string(text), beginMark) != 1 || strings.Count(string(text), endMark) != 1 {
		return nil, fmt.Errorf("%s must have each of these lines once, in this order, so that it is known what to replace; write them where the table belongs, or delete the file:\n%s%s", path, beginMark, endMark)
	}
	return &document{path: path, before: before, after: after}, nil
}

// write replaces the generated section.
func (d *document) write(section string) error {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(d.path, []byte(d.before+beginMark+section+endMark+d.after), 0o644)
}
