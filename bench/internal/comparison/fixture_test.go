package comparison

import (
	"os"
	"testing"
)

// documented is the result that docs/benchmarks.md shows.
const documented = "../../../docs/benchmarks/servers.json"

// read returns the documented result.
func read(t *testing.T) *Result {
	t.Helper()
	f, err := os.Open(documented)
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
