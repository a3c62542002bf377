package comparison

import (
	"os"
	"testing"
)

// read gives the fixture: invented figures of a run like a real one. In it are a round
// with failed requests, one with an overload, and a client that was too busy.
func read(t *testing.T) *Result {
	t.Helper()
	f, err := os.Open("testdata/result.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	r, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
