package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// With the right to do so, prefer gives priority until restore; without, it returns an error.
func TestPriorityIsGivenBack(t *testing.T) {
	state := func() (int, string) {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(autogroup)
		if err != nil {
			return 20 - n, "" // a kernel without
		}
		_, group, _ := strings.Cut(strings.TrimSpace(string(b)), " nice ")
		return 20 - n, group
	}
	nice, group := state()
	restore, err := prefer()
	if err != nil {
		if os.Geteuid() == 0 && os.Getenv("CI") == "" {
			t.Fatal(err)
		}
		if !strings.Contains(err.Error(), "CAP_SYS_NICE") {
			t.Errorf("%v", err)
		}
		return
	}
	if n, g := state(); n != mostFavourable || g != "" && g != "-20" {
		t.Errorf("niceness %d, the group's %q", n, g)
	}
	if err := restore(); err != nil {
		t.Error(err)
	}
	if n, g := state(); n != nice || g != group {
		t.Errorf("niceness %d, the group's %q; before %d and %q", n, g, nice, group)
	}
}
