package report

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// jsonFormat is the format of report.json. Its number changes if a field is removed or
// changes its meaning, not if one is added. In format 1, seconds and phases counted the
// requests sent in them, and rates were those over the whole run. In format 2, pooled and
// blind clients were one class, reused, which did not look.
const jsonFormat = "rolling-update-verification/3"

// writeDocument writes report.json: the run as recorded, and its numbers. Requests are
// counted per second; lost ones are there in full.
func writeDocument(w io.Writer, run *record.Run, s *Summary) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Format string `json:"format"`
		*record.Run
		Summary *Summary `json:"summary"`
	}{jsonFormat, run, s})
}

// WriteRequests writes only requests.ndjson.gz to dir, for a run without a verdict, and
// returns its path.
func WriteRequests(dir string, run *record.Run) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the directory of the reports: %w", err)
	}
	path := filepath.Join(dir, requestsFile)
	if err := writeFile(path, func(w io.Writer) error { return writeRequests(w, run) }); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}

// writeRequests writes requests.ndjson.gz: a [record.Request] a line.
func writeRequests(w io.Writer, run *record.Run) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(compressed)
	encoder.SetEscapeHTML(false)
	for i := range run.Requests {
		if err := encoder.Encode(&run.Requests[i]); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
	}
	return compressed.Close()
}
