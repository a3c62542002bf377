// Package image reads container images from files of this host: archives of docker save
// and of other tools, OCI layouts, folders with a root file system, and programs.
//
// The formats are read by go-containerregistry. The layers are unpacked here, and not by
// a library: those that do it right (containerd's) need root, and others follow links
// out of the folder, or take a hard link of one layer to a file of another.
package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Kind is what an image is in.
type Kind string

const (
	Archive Kind = "archive"          // one file, as of docker save
	Layout  Kind = "OCI layout"       // a folder
	RootFS  Kind = "root file system" // a folder
	Program Kind = "program"          // a file
)

// An Image is an image in a file or folder.
type Image struct {
	Path string
	Kind Kind
	// Config is what the image says; empty for root file systems and programs, which
	// say nothing.
	Config Config
	Tags   []string // the names that an archive has for the image

	layers v1.Image // of archives and layouts
	temp   *Temp    // of an OCI layout in an archive
}

// Config is how a container of an image is started.
type Config struct {
	Entrypoint, Cmd, Env []string
	User                 string // a name or a number, which may be followed by a group: "www-data", "1000:1000"
	WorkingDir           string
	StopSignal           string
}

// ErrUnusable is wrapped by errors about images that this machine can't run.
var ErrUnusable = errors.New("this image can't be used")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnusable, fmt.Errorf(format, args...))
}

// Open finds out what kind of image a file or folder is, and reads what it says. name
// chooses among the images of an archive or layout that has several; it may be empty.
// The image must be closed.
func Open(path, name string) (*Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unusable("%s can't be read: %w", path, errors.Unwrap(err))
	}
	i := &Image{Path: path}
	switch {
	case info.IsDir() && exists(path, "oci-layout"):
		i.Kind = Layout
		err = i.openLayout(path, name)
	case info.IsDir():
		i.Kind = RootFS
		err = checkRootFS(path)
	case !info.Mode().IsRegular():
		return nil, unusable("%s is neither a file nor a folder", path)
	default:
		err = i.openFile(name)
	}
	if err == nil {
		err = i.checkMachine()
	}
	if err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// Close removes what was unpacked in order to read the image.
func (i *Image) Close() error { return i.temp.Close() }

// UserID returns the number of the image's user, or else the name. As in containerd, a
// group that follows has no effect.
func (c *Config) UserID() (id int64, name string) {
	user, _, _ := strings.Cut(c.User, ":")
	if id, err := strconv.ParseInt(user, 10, 64); err == nil {
		return id, ""
	}
	return 0, user
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

// checkRootFS returns an error if a folder has no root file system.
func checkRootFS(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unusable("the folder %s can't be read by this user", path)
	case err != nil:
		return unusable("the folder %s can't be read: %w", path, err)
	case len(entries) == 0:
		return unusable("the folder %s is empty: give one with a root file system, an OCI layout or an archive of docker save", path)
	case exists(path, "manifest.json") && !exists(path, "usr") && !exists(path, "bin"):
		return unusable("the folder %s seems to be an unpacked archive of docker save: give the archive itself", path)
	}
	return nil
}

// checkMachine returns an error if the image is for another kind of machine.
func (i *Image) checkMachine() error {
	switch i.Kind {
	case RootFS:
		return checkPrograms(i.Path)
	case Program:
		return checkProgram(i.Path)
	}
	config, err := i.layers.ConfigFile()
	if err != nil {
		return unusable("%s is damaged: its configuration can't be read: %w", i.Path, err)
	}
	if config.OS != "" && config.OS != "linux" || config.Architecture != "" && config.Architecture != runtime.GOARCH {
		return wrongMachine(i.Path, config.OS+"/"+config.Architecture)
	}
	c := config.Config
	i.Config = Config{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, User: c.User, WorkingDir: c.WorkingDir, StopSignal: c.StopSignal}
	if c.WorkingDir != "" {
		i.Config.WorkingDir = filepath.Join("/", c.WorkingDir)
	}
	return nil
}

func wrongMachine(path, platform string) error {
	return unusable("%s is for %s, and this machine is linux/%s: build or pull it for that (docker build --platform linux/%[3]s)", path, platform, runtime.GOARCH)
}
