package e2e

import "testing"

// The version is told by the command and, as with most programs, by the flag, whatever else is given.
func TestVersion(t *testing.T) {
	t.Parallel()
	code, want, stderr := runCommand(t, "version")
	if code != 0 || want == "" || stderr != "" {
		t.Fatalf("version: code %d, %q, %q", code, want, stderr)
	}
	for _, args := range [][]string{{"--version"}, {"serve", "--version"}, {"generate", "--manifests", "/nowhere", "--version"}} {
		if code, stdout, stderr := runCommand(t, args...); code != 0 || stdout != want || stderr != "" {
			t.Errorf("%q: code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}
