// Package testenv decides what a test does when something it needs is not on
// the machine: on a developer's machine it is skipped with a sentence that says
// how to get it; where TOOLSET_TEST_REQUIRE=1 is set (as in CI) it fails, so
// that a skipped check is never taken for a passed one.
package testenv

import (
	"os"
	"testing"
)

// Missing ends the test: what names the missing thing, how says how to get it.
func Missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("TOOLSET_TEST_REQUIRE") == "1" {
		t.Fatalf("MISSING: %s. %s (TOOLSET_TEST_REQUIRE=1: a missing requirement is a failure)", what, how)
	}
	t.Skipf("SKIPPED LOUDLY: this test needs %s. %s", what, how)
}
