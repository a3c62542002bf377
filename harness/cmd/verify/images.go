package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/image"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// imageFlags say of what the images of the containers are made.
type imageFlags struct {
	images, files []string
	binary        string

	opened []*image.Image
	temps  []*image.Temp
}

func (f *imageFlags) add(s *pflag.FlagSet) {
	s.StringVar(&f.binary, "image-binary", "", "static `PROGRAM` of which the image of the target's container is made (default bin/dynamic-toolset)")
	s.StringArrayVar(&f.images, "image", nil, "`NAME=SOURCE`: an image of the manifests, as an archive (docker save -o), an OCI layout, the folder of a root file system or a static program (sim, kind); may be repeated. "+
		"NAME alone: an existing image for the target's container, one that the Docker engine has (kind), or that the cluster can pull (kubeconfig)")
	s.StringArrayVar(&f.files, "image-file", nil, "`PATH=FILE`: another file of the image made of --image-binary; may be repeated")
}

// close removes what was unpacked.
func (f *imageFlags) close() error {
	var errs []error
	for _, i := range f.opened {
		errs = append(errs, i.Close())
	}
	for _, t := range f.temps {
		errs = append(errs, t.Close())
	}
	f.opened, f.temps = nil, nil
	return errors.Join(errs...)
}

// makeImages describes the images of the manifests' containers, and refuses what can't
// run, before a cluster is started.
func (f *flags) makeImages() error {
	var given [][2]string // name and source
	for _, value := range f.images {
		name, source, ok := strings.Cut(value, "=")
		switch {
		case ok && (name == "" || source == ""):
			return fmt.Errorf("--image is %q; write it as NAME=SOURCE", value)
		case ok && f.cluster.Name == driver.Kubeconfig:
			return fmt.Errorf("an existing cluster pulls its images: push %s to a registry of yours, and name it with --image NAME", name)
		case ok:
			given = append(given, [2]string{name, source})
		case f.cluster.Name == driver.Sim && isThere(value):
			given = append(given, [2]string{"", value}) // of the target's container
		case f.cluster.Name == driver.Sim:
			return fmt.Errorf("the simulated cluster can't take the image %s by its name, as it has no container engine: give what it is made of, --image %[1]s=FILE (docker save -o FILE %[1]s)", value)
		case f.o.Image != "":
			return fmt.Errorf("--image names two images for the target's container, %s and %s: write the others as NAME=SOURCE", f.o.Image, value)
		default:
			f.o.Image = value
		}
	}
	if f.cluster.Name == driver.Kubeconfig || f.o.Image != "" {
		if err := f.takeImage(); err != nil || f.cluster.Name == driver.Kubeconfig {
			return err
		}
	}
	needed, err := f.o.ContainerImages()
	if err != nil {
		return err
	}
	if f.binary != "" {
		if err := f.makeBinary(needed); err != nil {
			return err
		}
	} else if len(f.files) > 0 {
		return errors.New("--image-file is for the image that is made of --image-binary")
	}
	for _, g := range given {
		if err := f.openImage(g[0], g[1], needed); err != nil {
			return err
		}
	}
	if f.cluster.Name == driver.Sim {
		return f.missing(f.withoutKnown(needed))
	}
	return nil
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func mainImage(needed []verify.ContainerImage) string {
	for _, c := range needed {
		if c.Main {
			return c.Image
		}
	}
	return ""
}

// makeBinary describes the image that consists of a program.
func (f *flags) makeBinary(needed []verify.ContainerImage) error {
	if err := checkProgram(f.binary, len(f.files) > 0); err != nil {
		return err
	}
	made := ofProgram(mainImage(needed), f.binary)
	for _, file := range f.files {
		path, from, ok := strings.Cut(file, "=")
		if !ok || !strings.HasPrefix(path, "/") {
			return fmt.Errorf("--image-file is %q; write it as /path/in/the/image=file", file)
		}
		made.Files[path] = from
	}
	f.o.Images = append(f.o.Images, made)
	return nil
}

func ofProgram(name, program string) cluster.Image {
	inside := "/" + filepath.Base(program)
	return cluster.Image{Name: name, Files: map[string]string{inside: program}, Entrypoint: []string{inside}, User: 65532}
}

// openImage opens the image of a file or folder, and describes it by the name that the
// manifests have for it.
func (f *flags) openImage(name, source string, needed []verify.ContainerImage) error {
	if name == "" {
		name = mainImage(needed)
	}
	users := slices.DeleteFunc(slices.Clone(needed), func(c verify.ContainerImage) bool { return !image.Same(c.Image, name) })
	if len(users) == 0 {
		var have []string
		for _, c := range needed {
			have = append(have, c.Image)
		}
		return fmt.Errorf("--image %s=%s: no container of the manifests runs %[1]s; they run: %[3]s", name, source, strings.Join(slices.Compact(have), ", "))
	}
	name = users[0].Image
	if slices.ContainsFunc(f.o.Images, func(i cluster.Image) bool { return image.Same(i.Name, name) }) {
		return fmt.Errorf("the image %s is given twice", name)
	}
	opened, err := image.Open(source, name)
	if err != nil {
		return fmt.Errorf("the image %s: %w", name, err)
	}
	f.opened = append(f.opened, opened)
	if opened.Kind == image.Program {
		if err := checkProgram(source, false); err != nil {
			return err
		}
		f.o.Images = append(f.o.Images, ofProgram(name, source))
		return nil
	}
	says := opened.Config
	for _, c := range users {
		if !c.Command && len(says.Entrypoint)+len(says.Cmd) == 0 {
			return fmt.Errorf("the container %s of %s has no command, and %s (%s) does not say what to run: write a command into the manifest", c.Container, c.Workload, source, opened.Kind)
		}
	}
	made := cluster.Image{
		Name: name, Entrypoint: says.Entrypoint, Cmd: says.Cmd, Env: says.Env, WorkingDir: says.WorkingDir, StopSignal: says.StopSignal,
		Archive: opened.WriteArchive,
	}
	made.User, made.Username = says.UserID()
	if opened.Kind == image.RootFS {
		made.Root = source
	}
	f.o.Images = append(f.o.Images, made)
	return nil
}

// missing returns an error that names the images of the target's pods that were not
// given. Those of other workloads are only noted.
func (f *flags) missing(needed []verify.ContainerImage) error {
	var lines []string
	for _, c := range needed {
		if slices.ContainsFunc(f.o.Images, func(i cluster.Image) bool { return image.Same(i.Name, c.Image) }) {
			continue
		}
		if c.Target {
			lines = append(lines, fmt.Sprintf("  %s, container %s: --image %s=SOURCE", c.Workload, c.Container, c.Image))
			continue
		}
		f.o.Notes = append(f.o.Notes, fmt.Sprintf("%s did not run, as its image was not given (--image %s=SOURCE).", c.Workload, c.Image))
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("the simulated cluster pulls no images; say what these are made of:\n%s\nwhere SOURCE is an archive (docker save -o), an OCI layout, the folder of a root file system or a static program; "+
		"for the container that serves the traffic, --image-binary PROGRAM does, too", strings.Join(slices.Compact(lines), "\n"))
}

// unpack unpacks the images of archives and layouts, for a cluster that runs them from
// a folder.
func (f *flags) unpack(ctx context.Context, say func(string, ...any)) error {
	if f.cluster.Name != driver.Sim {
		return nil
	}
	if err := f.getVia(ctx, say); err != nil {
		return err
	}
	for _, opened := range f.opened {
		if opened.Kind != image.Archive && opened.Kind != image.Layout {
			continue
		}
		i := slices.IndexFunc(f.o.Images, func(i cluster.Image) bool { return i.Archive != nil && i.Root == "" })
		say("unpacking the image %s", f.o.Images[i].Name)
		temp, err := image.NewTemp()
		if err != nil {
			return err
		}
		f.temps = append(f.temps, temp)
		root := filepath.Join(temp.Dir, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			return err
		}
		done, err := opened.Unpack(ctx, root)
		if err != nil {
			return err
		}
		if user := f.o.Images[i].Username; user != "" && !image.HasUser(root, user) {
			return fmt.Errorf("the image %s runs as the user %q, who is not in its /etc/passwd: it would not start anywhere", f.o.Images[i].Name, user)
		}
		if done.Owners {
			f.o.Notes = append(f.o.Notes, fmt.Sprintf("All files of the image %s belong to its root: only root may give them to others.", f.o.Images[i].Name))
		}
		f.o.Images[i].Root = root
	}
	return nil
}
