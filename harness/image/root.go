package image

import (
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxLinks bounds the symbolic links on the way to a file, as in the kernel.
const maxLinks = 40

// resolve returns where a path leads in a folder that a container will have as its
// root: an absolute link begins there, and ".." does not lead out of it. The result is
// relative to the folder. The last element is resolved, too. What does not exist is
// taken for a folder.
//
// [os.Root] guards every access besides: it refuses what leads out of the folder. But
// it also refuses absolute links, which images have.
func resolve(root *os.Root, name string) (string, error) {
	rest, done, links := strings.Split(name, "/"), "/", 0
	for len(rest) > 0 {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		if next == "/" {
			done = next
			continue
		}
		link, err := root.Readlink("." + next)
		if err != nil {
			done = next // no link
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: name, Err: syscall.ELOOP}
		}
		if path.IsAbs(link) {
			done = "/"
		}
		rest = append(strings.Split(link, "/"), rest...)
	}
	return path.Clean("." + done), nil
}

// openIn opens a file in a folder that a container will have as its root.
func openIn(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // only read
	place, err := resolve(root, name)
	if err != nil {
		return nil, err
	}
	return root.Open(place)
}

// maxAccounts bounds what is read of a list of users, in bytes.
const maxAccounts = 1 << 20

// HasUser reports whether a user is in the /etc/passwd of a root file system.
func HasUser(dir, name string) bool {
	f, err := openIn(dir, "etc/passwd")
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxAccounts))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name+":") {
			return true
		}
	}
	return false
}
