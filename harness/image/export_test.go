package image

import (
	"os"
	"syscall"
	"testing"
)

// SetReserve has a disk seem full until the test ends.
func SetReserve(t *testing.T, bytes int64) {
	before := reserve
	reserve = bytes
	t.Cleanup(func() { reserve = before })
}

// HasOwner reports whether a file belongs to a user and a group.
func HasOwner(file string, uid, gid uint32) bool {
	info, err := os.Lstat(file)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == uid && st.Gid == gid
}
