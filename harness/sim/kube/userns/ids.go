package userns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// AllIDs is the number of user ids for a cluster: enough for images, and for "nobody"
// (65534).
const AllIDs = 65536

// ErrNoSubordinates says why an ordinary user has only one id.
var ErrNoSubordinates = errors.New("no subordinate ids: install newuidmap and newgidmap (package uidmap) and give this user 65536 ids in /etc/subuid and /etc/subgid")

// Range is a range of subordinate ids.
type Range struct{ First, Count int }

// Subordinates returns the ids that this user may map besides its own. The error wraps
// ErrNoSubordinates.
func Subordinates() (uids, gids Range, err error) {
	for _, program := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(program); err != nil {
			return uids, gids, fmt.Errorf("%w: %w", ErrNoSubordinates, err)
		}
	}
	names := []string{strconv.Itoa(os.Getuid())}
	if u, err := user.Current(); err == nil {
		names = append(names, u.Username)
	}
	for path, ids := range map[string]*Range{"/etc/subuid": &uids, "/etc/subgid": &gids} {
		f, err := os.Open(path)
		if err != nil {
			return uids, gids, fmt.Errorf("%w: %w", ErrNoSubordinates, err)
		}
		*ids = parseSubordinates(f, names)
		_ = f.Close()
		if ids.Count < AllIDs-1 {
			return uids, gids, fmt.Errorf("%w (%s)", ErrNoSubordinates, path)
		}
		ids.Count = AllIDs - 1
	}
	return uids, gids, nil
}

// parseSubordinates returns the largest range that belongs to one of the names, from
// lines of the form name:first:count (subuid(5)).
func parseSubordinates(r io.Reader, names []string) Range {
	var best Range
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) != 3 {
			continue
		}
		for _, name := range names {
			first, err1 := strconv.Atoi(fields[1])
			count, err2 := strconv.Atoi(fields[2])
			if fields[0] == name && err1 == nil && err2 == nil && first > 0 && count > best.Count {
				best = Range{first, count}
			}
		}
	}
	return best
}

// OneUser reports whether the user namespace of this process has only one user id.
func OneUser() bool { return oneUser(read("/proc/self/uid_map")) }

// oneUser reads a uid_map, whose lines are "inside outside count".
func oneUser(uidMap string) bool {
	fields := strings.Fields(uidMap)
	return len(fields) == 3 && fields[2] == "1"
}
