// Package testenv has what tests need from the machine, and tells them what to do without
// it. If a program is missing, a test is skipped with a sentence that says how to get it;
// with TOOLSET_TEST_REQUIRE=1 (as in CI) it fails instead, so that a skipped check is
// never taken for a passed one. [Eventually] waits for events, and a [Stopwatch] makes
// allowance for a busy machine.
package testenv

import (
	"os"
	"testing"
)

// Missing ends the test because something is missing: what names it, and how says how to
// get it.
func Missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("TOOLSET_TEST_REQUIRE") == "1" {
		t.Fatalf("MISSING: %s. %s (TOOLSET_TEST_REQUIRE=1: a missing requirement is a failure)", what, how)
	}
	t.Skipf("SKIPPED LOUDLY: this test needs %s. %s", what, how)
}
