package report

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// jsonFormat names the shape of report.json. Fields may be added to it; when
// one changes its meaning or goes, the number grows. In 1, seconds and phases had
// the requests that were sent in them, and rates were those over the whole run.
const jsonFormat = "rolling-update-verification/2"

// writeDocument writes report.json: the run as it was seen and the numbers made of it.
// Of the requests it has the counts per second, and the lost ones in full.
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

// writeRequests writes requests.ndjson.gz: each request on a line of its own, as
// [record.Request] has it, compressed with gzip.
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
