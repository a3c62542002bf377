package comparison

import (
	"os"
	"testing"
)

// documented is where docs/benchmarks.md has its figures from.
const documented = "../../../docs/benchmarks/servers.json"

// read gives the result that is documented.
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
