package suggest

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	candidates := []string{"disable", "description", "name", "namespace"}
	for name, want := range map[string]string{
		"disabled": "disable", "diasble": "disable", "Description": "description", "nam": "name", "namspace": "namespace", "nmae": "name",
		"colour": "", "": "", strings.Repeat("n", Most+1): "",
	} {
		if got := Of(name, candidates); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"ab", "abc", 1}, {"abc", "axc", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
