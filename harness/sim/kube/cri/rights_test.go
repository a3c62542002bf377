package cri

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestCapabilities(t *testing.T) {
	all := make([]uintptr, len(capabilityNames))
	for i := range all {
		all[i] = uintptr(i)
	}
	defaults := slices.Sorted(slices.Values(defaultCapabilities))
	for _, c := range []struct {
		add, drop []string
		want      []uintptr
	}{
		{nil, nil, defaults},
		{nil, []string{"ALL"}, nil},
		{[]string{"ALL"}, nil, all},
		{[]string{"sys_time", "CAP_CHOWN"}, []string{"all"}, []uintptr{unix.CAP_CHOWN, unix.CAP_SYS_TIME}},
		{[]string{"ALL"}, []string{"CHOWN"}, all[1:]},
		{[]string{"CHOWN"}, nil, defaults},
		{[]string{"SYS_ADMIN"}, []string{"SYS_ADMIN"}, defaults},
	} {
		got, err := capabilitiesOf(&runtime.LinuxContainerSecurityContext{Capabilities: &runtime.Capability{AddCapabilities: c.add, DropCapabilities: c.drop}})
		if err != nil || !slices.Equal(got.Capabilities, c.want) {
			t.Errorf("add %v, drop %v: %v, %v, want %v", c.add, c.drop, got.Capabilities, err, c.want)
		}
	}
	if _, err := capabilitiesOf(&runtime.LinuxContainerSecurityContext{Capabilities: &runtime.Capability{AddCapabilities: []string{"FLY"}}}); err == nil || !strings.Contains(err.Error(), `"FLY"`) {
		t.Errorf("an unknown one: %v", err)
	}
	if got, err := capabilitiesOf(&runtime.LinuxContainerSecurityContext{Privileged: true}); err != nil || !got.AllCapabilities {
		t.Errorf("privileged: %v, %v", got, err)
	}
	if unix.CAP_LAST_CAP != len(capabilityNames)-1 || capabilityNames[unix.CAP_BPF] != "BPF" || capabilityNames[unix.CAP_SETFCAP] != "SETFCAP" {
		t.Error("the names are not in the order of the numbers")
	}
}

func TestIDMap(t *testing.T) {
	m, err := parseIDMap("         0       1000          1\n         1     100000      65535\n")
	must(t, err)
	for id, want := range map[uint32]bool{0: true, 1: true, 65535: true, 65536: false, 1<<32 - 2: false} {
		if got := m.has(id); got != want {
			t.Errorf("%d exists: %v", id, got)
		}
	}
	if _, only := m.only(); only {
		t.Error("it has one user")
	}
	if got := m.String(); got != "0 to 0 and 1 to 65535" {
		t.Errorf("it reads %q", got)
	}
	if m, err := parseIDMap("0 4294967295 1\n"); err != nil || !m.has(0) {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := parseIDMap("0 0 4294967295\n"); err != nil || !m.has(1<<32-2) || m.has(1<<32-1) {
		t.Errorf("the map of the whole machine: %v, %v", m, err)
	}
	for _, wrong := range []string{"0 1", "a 0 1", "0 0 b", "0 0 4294967296"} {
		if m, err := parseIDMap(wrong); err == nil {
			t.Errorf("%q: %v", wrong, m)
		}
	}
}

// Even what the kernel never writes must not stop a node.
func FuzzParseIDMap(f *testing.F) {
	f.Add("0 1000 1\n1 100000 65535\n", uint32(7))
	f.Fuzz(func(t *testing.T, text string, id uint32) {
		m, err := parseIDMap(text)
		if err != nil {
			return
		}
		want := false
		for _, r := range m {
			want = want || uint64(id) >= uint64(r.first) && uint64(id) < uint64(r.first)+uint64(r.count)
		}
		if got := m.has(id); got != want {
			t.Errorf("%s has %d: %v", m, id, got)
		}
	})
}

func TestUsersThatDoNotExist(t *testing.T) {
	for _, s := range []*runtime.LinuxContainerSecurityContext{
		{RunAsUser: &runtime.Int64Value{Value: -1}},
		{RunAsGroup: &runtime.Int64Value{Value: 1<<32 - 1}},
		{SupplementalGroups: []int64{1 << 40}},
		{RunAsUsername: "someone"},
	} {
		if who, _, err := wanted(s, &image{}); err == nil {
			t.Errorf("%v is %v", s, who)
		}
	}
	if onlyOneUser(t) {
		return // nobody is refused there
	}
	for _, s := range []*runtime.LinuxContainerSecurityContext{
		{RunAsUser: &runtime.Int64Value{Value: 70000}}, {SupplementalGroups: []int64{70000}},
	} {
		if who, _, _, err := whoAndRights(s, &image{}); err == nil || !strings.Contains(err.Error(), "0 to 65535") {
			t.Errorf("%v is %v, %v", s, who, err)
		}
	}
}

func TestJournal(t *testing.T) {
	var b logBuffer
	j := &journal{w: &b}
	j.line("two\nlines %d", 1)
	if got := b.String(); !strings.HasSuffix(got, " two | lines 1\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("the line is %q", got)
	}
	(&journal{}).line("nowhere")
}
