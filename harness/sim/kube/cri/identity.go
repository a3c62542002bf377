package cri

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// whoAndRights returns the user, the user's home and the rights of a container. If only
// one user id exists, it is that one. A pod that asks for another user than root then
// gets no capabilities, as that user would have none.
func whoAndRights(security *runtime.LinuxContainerSecurityContext, img *image) (who identity, home string, can rights, err error) {
	users, err := readIDMap("/proc/self/uid_map")
	if err != nil {
		return identity{}, "", rights{}, err
	}
	groups, err := readIDMap("/proc/self/gid_map")
	if err != nil {
		return identity{}, "", rights{}, err
	}
	if who, home, err = wanted(security, img); err != nil {
		return identity{}, "", rights{}, err
	}
	if can, err = capabilitiesOf(security); err != nil {
		return identity{}, "", rights{}, err
	}
	if only, ok := users.only(); ok {
		if who.UID != 0 {
			can.Capabilities, can.AllCapabilities = nil, false
		}
		group, _ := groups.only()
		return identity{UID: only, GID: group}, home, can, nil
	}
	if !users.has(who.UID) {
		return identity{}, "", rights{}, fmt.Errorf("the user %d does not exist here: the cluster's user namespace maps %s; choose a runAsUser within, or let the cluster be started by root", who.UID, users)
	}
	for _, g := range append(slices.Clone(who.Groups), who.GID) {
		if !groups.has(g) {
			return identity{}, "", rights{}, fmt.Errorf("the group %d does not exist here: the cluster's user namespace maps %s; choose groups within, or let the cluster be started by root", g, groups)
		}
	}
	who.Switch = true
	return who, home, can, nil
}

// wanted returns what the pod asks for, or else the image, with the user's home. Groups
// are those of the image's user, unless the pod asks for others, as in containerd.
func wanted(security *runtime.LinuxContainerSecurityContext, img *image) (who identity, home string, err error) {
	user := cmp.Or(security.GetRunAsUsername(), img.Username, strconv.FormatUint(uint64(img.User), 10))
	if u := security.GetRunAsUser(); u != nil {
		id, err := id32("runAsUser", u.Value)
		if err != nil {
			return identity{}, "", err
		}
		user = strconv.FormatUint(uint64(id), 10)
	}
	a, err := img.account(user)
	if err != nil {
		return identity{}, "", err
	}
	who = identity{UID: a.uid, GID: a.gid, Groups: a.groups}
	if g := security.GetRunAsGroup(); g != nil {
		if who.GID, err = id32("runAsGroup", g.Value); err != nil {
			return identity{}, "", err
		}
	}
	for _, g := range security.GetSupplementalGroups() {
		id, err := id32("supplementalGroups", g)
		if err != nil {
			return identity{}, "", err
		}
		who.Groups = append(who.Groups, id)
	}
	if home = a.home; home == "" {
		home = "/"
		if who.UID == 0 {
			home = "/root"
		}
	}
	return who, home, nil
}

func id32(field string, n int64) (uint32, error) {
	if n < 0 || n >= 1<<32-1 { // the last number means "no change" to the kernel
		return 0, fmt.Errorf("%s: %d is no user or group number", field, n)
	}
	return uint32(n), nil
}

// idMap is the content of /proc/PID/uid_map or gid_map (user_namespaces(7)): the ranges
// of ids that exist in a user namespace.
type idMap []idRange

type idRange struct{ first, count uint32 }

func readIDMap(path string) (idMap, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseIDMap(string(text))
}

func parseIDMap(text string) (idMap, error) {
	var m idMap
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("a line of the ID map is not three numbers: %q", line)
		}
		first, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("a line of the ID map begins with no number: %q", line)
		}
		count, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("a line of the ID map ends with no number: %q", line)
		}
		m = append(m, idRange{uint32(first), uint32(count)})
	}
	return m, nil
}

func (m idMap) has(id uint32) bool {
	return slices.ContainsFunc(m, func(r idRange) bool { return id >= r.first && id-r.first < r.count })
}

// only returns the id if only one exists.
func (m idMap) only() (uint32, bool) {
	if len(m) == 1 && m[0].count == 1 {
		return m[0].first, true
	}
	return 0, false
}

func (m idMap) String() string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, r := range m {
		parts = append(parts, fmt.Sprintf("%d to %d", r.first, uint64(r.first)+uint64(r.count)-1))
	}
	return strings.Join(parts, " and ")
}
