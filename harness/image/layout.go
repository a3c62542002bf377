package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// refName is the annotation with an image's name in a layout.
const refName = "org.opencontainers.image.ref.name"

// maxDepth bounds how deep indexes may be in one another. It is 2 in those that exist.
const maxDepth = 4

// found is an image in a layout.
type found struct {
	image    v1.Image
	name     string // empty: it has none
	platform string
}

func (i *Image) openLayout(dir, want string) error {
	if err := checkDescriptions(dir); err != nil {
		return unusable("%s is damaged: %w", i.Path, err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return unusable("%s is damaged: %w", i.Path, err)
	}
	all, err := imagesOf(dir, index, "", maxDepth)
	if err != nil {
		return unusable("%s is damaged: %w", i.Path, err)
	}
	var here []found
	var platforms []string
	for _, f := range all {
		platforms = append(platforms, f.platform)
		if f.platform == "linux/"+runtime.GOARCH {
			here = append(here, f)
		}
	}
	switch {
	case len(all) == 0:
		return unusable("%s has no image", i.Path)
	case len(here) == 0:
		return wrongMachine(i.Path, format.Names(platforms))
	case len(here) > 1:
		var named []found
		var have []string
		for _, f := range here {
			have = append(have, f.name)
			if f.name != "" && (Same(f.name, want) || filepath.Base(Canonical(want)) == f.name) {
				named = append(named, f)
			}
		}
		if len(named) != 1 {
			return unusable("%s has %d images, and %d of them have the name %s: it has %s", i.Path, len(here), len(named), want, format.Names(have))
		}
		here = named
	}
	i.layers = here[0].image
	if here[0].name != "" {
		i.Tags = []string{here[0].name}
	}
	return nil
}

// checkDescriptions refuses an index that is too large to be read into memory.
func checkDescriptions(dir string) error {
	info, err := os.Stat(filepath.Join(dir, "index.json"))
	if err != nil {
		return err
	}
	if info.Size() > maxDescription {
		return fmt.Errorf("its index.json has %d bytes", info.Size())
	}
	return nil
}

// imagesOf returns the images of an index and of those in it. It leaves out what is no
// image, such as attestations.
func imagesOf(dir string, index v1.ImageIndex, name string, depth int) ([]found, error) {
	if depth == 0 {
		return nil, errors.New("indexes are in one another too deep")
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var all []found
	for n := range m.Manifests {
		d := &m.Manifests[n]
		its := name
		if d.Annotations[refName] != "" {
			its = d.Annotations[refName]
		}
		// Blobs that are read into memory.
		if info, err := os.Stat(filepath.Join(dir, "blobs", d.Digest.Algorithm, d.Digest.Hex)); err != nil {
			if d.Platform != nil && (d.Platform.OS != "linux" || d.Platform.Architecture != runtime.GOARCH) {
				// Tools leave out what they did not pull.
				if d.Platform.OS != "unknown" {
					all = append(all, found{nil, its, d.Platform.OS + "/" + d.Platform.Architecture})
				}
				continue
			}
			return nil, fmt.Errorf("it lacks %s", d.Digest)
		} else if info.Size() > maxDescription {
			return nil, fmt.Errorf("its manifest %s has %d bytes", d.Digest, info.Size())
		}
		switch {
		case d.MediaType.IsIndex():
			below, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			more, err := imagesOf(dir, below, its, depth-1)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		case d.MediaType.IsImage():
			f, err := imageOf(dir, index, d, its)
			if err != nil {
				return nil, err
			}
			if f != nil {
				all = append(all, *f)
			}
		}
	}
	return all, nil
}

// imageOf returns an image, or nil if it is only said to be one.
func imageOf(dir string, index v1.ImageIndex, d *v1.Descriptor, name string) (*found, error) {
	if d.Platform != nil && d.Platform.OS == "unknown" {
		return nil, nil
	}
	img, err := index.Image(d.Digest)
	if err != nil {
		return nil, err
	}
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	if !m.Config.MediaType.IsConfig() {
		return nil, nil // an artifact
	}
	info, err := os.Stat(filepath.Join(dir, "blobs", m.Config.Digest.Algorithm, m.Config.Digest.Hex))
	if err != nil {
		return nil, fmt.Errorf("it lacks %s", m.Config.Digest)
	}
	if info.Size() > maxDescription {
		return nil, fmt.Errorf("its configuration has %d bytes", info.Size())
	}
	c, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	return &found{img, name, c.OS + "/" + c.Architecture}, nil
}
