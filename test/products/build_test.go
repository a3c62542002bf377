package products

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each module that can be built is pinned, and lists its command as a tool, so that go mod
// tidy keeps what it needs.
func TestModulesArePinned(t *testing.T) {
	seen := map[string]string{}
	for _, m := range Modules(true) {
		b, err := m.open(t.Context())
		if err != nil {
			t.Error(err)
			continue
		}
		mod, err := os.ReadFile(filepath.Join(b.dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(mod), m.Package+"\n") {
			t.Errorf("%s/go.mod has no tool %s", b.dir, m.Package)
		}
		if want := "module " + modulePath + "/test/products/modules/" + m.Name + "\n"; !strings.HasPrefix(string(mod), want) {
			t.Errorf("%s/go.mod does not begin with %q", b.dir, want)
		}
		if other := seen[b.binary]; other != "" {
			t.Errorf("%s and %s are both %s", other, m.Package, b.binary)
		}
		seen[b.binary] = m.Package
		if !strings.Contains(b.flags, strings.TrimPrefix(b.version, "v")) && m.release == nil {
			t.Errorf("the flags of %s don't tell its version %s: %s", m.Name, b.version, b.flags)
		}
	}
}

func TestTheVersionOfAModuleIsThatOfTheRelease(t *testing.T) {
	for _, c := range []struct{ module, release, want string }{
		{"0.316.0", prometheusModule.release("0.316.0"), "3.16.0"},
		{"v0.301.1", prometheusModule.release("v0.301.1"), "3.1.1"},
		{"0.300.0", prometheusModule.release("0.300.0"), "3.0.0"},
		{"1.76.0", jaegerModule.release("1.76.0"), "2.13.0"}, // these are in Jaeger's changelog
		{"v1.63.0", jaegerModule.release("v1.63.0"), "2.0.0"},
		{"1.62.0", jaegerModule.release("1.62.0"), "1.62.0"},
	} {
		if c.release != c.want {
			t.Errorf("%s is %s, want %s", c.module, c.release, c.want)
		}
	}
	for _, m := range []*Module{prometheusModule, jaegerModule} {
		b, err := m.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := "ersion=" + m.release(b.version) + " "; !strings.Contains(strings.ReplaceAll(b.flags, "=v", "="), want) {
			t.Errorf("flags %s, want %s", b.flags, want)
		}
	}
}
