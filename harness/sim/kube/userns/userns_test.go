package userns

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestExplainNamesTheSetting(t *testing.T) {
	for path, c := range map[string]struct{ content, want string }{
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": {"1", "kernel.apparmor_restrict_unprivileged_userns=0"},
		"/proc/sys/kernel/unprivileged_userns_clone":             {"0", "kernel.unprivileged_userns_clone=1"},
		"/proc/sys/user/max_user_namespaces":                     {"0", "user.max_user_namespaces="},
		"/proc/self/status":                                      {"Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1", "seccomp=unconfined"},
		"/nothing of the kind":                                   {"1", "--privileged"},
	} {
		got := explain(func(p string) string {
			if p == path {
				return c.content
			}
			return ""
		})
		if !strings.Contains(got, c.want) || strings.Contains(got, ";") || strings.ToUpper(got[:1]) != got[:1] {
			t.Errorf("with %s = %q: %s", path, c.content, got)
		}
	}
	all := explain(func(path string) string {
		switch path {
		case "/proc/sys/kernel/apparmor_restrict_unprivileged_userns":
			return "1"
		case "/proc/self/status":
			return "Seccomp: 2"
		}
		return "10000"
	})
	if !strings.Contains(all, "apparmor_restrict") || !strings.Contains(all, "seccomp") || strings.Contains(all, "max_user") {
		t.Errorf("with two in the way: %s", all)
	}
}

func TestForbiddenKeepsTheCause(t *testing.T) {
	err := Forbidden("mount /proc", fs.ErrPermission)
	var u *Unsupported
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &u) || u.What != "mount /proc" || u.Help == "" {
		t.Errorf("%v", err)
	}
}

func TestOneUser(t *testing.T) {
	for uidMap, want := range map[string]bool{
		"         0       1000          1":           true,
		"         0          0 4294967295":           false,
		"0 1000 1\n         1     100000      65535": false,
		"":          false,
		"0 0 65536": false,
	} {
		if got := oneUser(uidMap); got != want {
			t.Errorf("oneUser(%q) = %v", uidMap, got)
		}
	}
}

func TestSubordinatesOfTheUser(t *testing.T) {
	const file = `
# comment
root:100000:65536
ann:165536:65536
1000:300000:131072
bob:bad:65536
bob:1:2:3
bob:500000:70000
`
	for _, c := range []struct {
		names []string
		want  Range
	}{
		{[]string{"1001", "ann"}, Range{165536, 65536}},
		{[]string{"1000", "ann"}, Range{300000, 131072}}, // the larger one
		{[]string{"1002", "bob"}, Range{500000, 70000}},
		{[]string{"1003", "an"}, Range{}},
	} {
		if got := parseSubordinates(strings.NewReader(file), c.names); got != c.want {
			t.Errorf("of %v: %v, want %v", c.names, got, c.want)
		}
	}
}

func FuzzSubordinates(f *testing.F) {
	f.Add("ann:165536:65536\n", "ann")
	f.Add("ann:-1:99999999999999999999\nann:1", "ann")
	f.Add("::", "")
	f.Add("ann:-5:65536", "ann")
	f.Fuzz(func(t *testing.T, file, name string) {
		got := parseSubordinates(strings.NewReader(file), []string{name})
		if got.First < 0 || got.Count < 0 {
			t.Errorf("a negative range: %v", got)
		}
		if got.Count > 0 && !strings.Contains(file, name+":") {
			t.Errorf("%v is not %q's", got, name)
		}
	})
}
