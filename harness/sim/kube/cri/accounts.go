package cri

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// accountsLimit bounds what is read of an image's lists of users and groups, in bytes.
const accountsLimit = 1 << 20

// An account is what an image's /etc/passwd and /etc/group say about a user.
type account struct {
	uid, gid uint32
	groups   []uint32 // further groups, those that list the user
	home     string   // empty: not known
}

// account returns what the image says about a user, by the name or by the number. A
// number that is not in the image's list is a user without groups, as in containerd; a
// name must be there.
func (img *image) account(user string) (account, error) {
	id, notNumber := strconv.ParseUint(user, 10, 32)
	text, err := img.read("/etc/passwd")
	if err != nil {
		return account{}, err
	}
	a := account{uid: uint32(id)}
	name, found := "", false
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 6 || f[0] != user && f[2] != user {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		if err1 != nil || err2 != nil {
			continue
		}
		name, found = f[0], true
		a = account{uid: uint32(uid), gid: uint32(gid), home: f[5]}
		break
	}
	if !found && notNumber != nil {
		return account{}, fmt.Errorf("the image %q has no user %q in its /etc/passwd: give the user by a number (runAsUser)", img.Name, user)
	}
	if !found {
		return a, nil
	}
	if text, err = img.read("/etc/group"); err != nil {
		return account{}, err
	}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || !slices.Contains(strings.Split(f[3], ","), name) {
			continue
		}
		if gid, err := strconv.ParseUint(f[2], 10, 32); err == nil && uint32(gid) != a.gid {
			a.groups = append(a.groups, uint32(gid))
		}
	}
	return a, nil
}

// read returns the beginning of a file of the image, or nothing if it has none. It
// follows no link out of the image.
func (img *image) read(name string) (string, error) {
	for _, e := range slices.Backward(img.entries) { // the deepest first
		below, ok := strings.CutPrefix(name, strings.TrimSuffix(e.Target, "/")+"/")
		var f *os.File
		var err error
		switch {
		case e.Target == name && !e.Folder:
			f, err = os.Open(e.Source)
		case ok && e.Folder:
			f, err = openIn(e.Source, below)
		default:
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // or it is in a folder above
		}
		if err != nil {
			return "", fmt.Errorf("read the image's %s: %w", name, err)
		}
		defer f.Close()
		text, err := io.ReadAll(bufio.NewReader(io.LimitReader(f, accountsLimit)))
		return string(text), err
	}
	return "", nil
}

// maxLinks bounds the symbolic links on the way to a file, as in the kernel.
const maxLinks = 40

// openIn opens a file below a folder that a container has as its root: an absolute link
// begins there, and ".." does not lead out of it.
func openIn(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	rest, done, links := strings.Split(name, "/"), "/", 0
	for len(rest) > 0 {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		link, err := root.Readlink("." + next)
		if err != nil {
			done = next // no link; if it does not exist, Open says so
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
		}
		if path.IsAbs(link) {
			done = "/"
		}
		rest = append(strings.Split(link, "/"), rest...)
	}
	return root.Open("." + done)
}
