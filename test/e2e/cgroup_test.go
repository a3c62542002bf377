//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A cgroup bounds the memory of the processes in it.
type cgroup struct {
	dir string
	v2  bool
}

func newCgroup(limit int64) (cgroup, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return cgroup{}, err
	}
	own := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			own[parts[1]] = parts[2]
		}
	}
	g, parent := cgroup{v2: true}, filepath.Join("/sys/fs/cgroup", filepath.Dir(own[""]))
	if path, ok := own["memory"]; ok {
		g.v2 = false
		if parent = filepath.Join("/sys/fs/cgroup/memory", path); !exists(parent) {
			parent = "/sys/fs/cgroup/memory" // a container sees its own as the root
		}
	} else {
		// In v2, only groups without processes can have children with controllers.
		if !exists(parent) {
			parent = "/sys/fs/cgroup"
		}
		os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0o600) //nolint:errcheck // the limit tells
	}
	g.dir = filepath.Join(parent, fmt.Sprintf("dynamic-toolset-test-%d", os.Getpid()))
	if err := os.Mkdir(g.dir, 0o750); err != nil {
		return g, err
	}
	files := []string{"memory.limit_in_bytes"}
	if g.v2 {
		files = []string{"memory.max"}
		os.WriteFile(filepath.Join(g.dir, "memory.swap.max"), []byte("0"), 0o600) //nolint:errcheck // without swap there is none
	}
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.FormatInt(limit, 10)), 0o600); err != nil {
			g.remove()
			return g, err
		}
	}
	return g, nil
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func (g cgroup) procs() string { return filepath.Join(g.dir, "cgroup.procs") }

// usage returns the memory that is charged to the group: that of its processes, and that
// of the kernel for them.
func (g cgroup) usage() int64 {
	if g.v2 {
		return g.number("memory.current", "")
	}
	return g.number("memory.usage_in_bytes", "")
}

// oomKills returns how many processes were killed for lack of memory.
func (g cgroup) oomKills() int64 {
	if g.v2 {
		return g.number("memory.events", "oom_kill ")
	}
	return g.number("memory.oom_control", "oom_kill ")
}

func (g cgroup) number(file, name string) (n int64) {
	text, _ := os.ReadFile(filepath.Join(g.dir, file))
	_, rest, _ := strings.Cut(string(text), name)
	fmt.Sscan(rest, &n) //nolint:errcheck // 0 shows
	return n
}

// remove removes the group. Its processes must have ended.
func (g cgroup) remove() {
	for range 100 {
		if os.Remove(g.dir) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
