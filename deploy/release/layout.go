package main

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout is an OCI image layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md): blobs by
// their digest, and an index that names one of them by a tag.
type layout struct {
	blobs map[digest.Digest][]byte
}

func newLayout() *layout { return &layout{map[digest.Digest][]byte{}} }

// add adds a blob, and returns what refers to it.
func (l *layout) add(mediaType string, data []byte) ocispec.Descriptor {
	d := digest.FromBytes(data)
	l.blobs[d] = data
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

// addJSON adds a document: a configuration, a manifest or an index.
func (l *layout) addJSON(mediaType string, doc any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(doc) // the keys of maps are sorted
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return l.add(mediaType, data), nil
}

// files returns the layout's files. The manifest or index of is tagged.
func (l *layout) files(of ocispec.Descriptor, tag string) ([]file, error) {
	version, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return nil, err
	}
	annotations := map[string]string{ocispec.AnnotationRefName: tag}
	maps.Copy(annotations, of.Annotations)
	of.Annotations = annotations
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{of},
	})
	if err != nil {
		return nil, err
	}
	files := []file{{ocispec.ImageLayoutFile, 0o644, version}, {ocispec.ImageIndexFile, 0o644, index}}
	for _, d := range slices.Sorted(maps.Keys(l.blobs)) {
		files = append(files, file{ocispec.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded(), 0o644, l.blobs[d]})
	}
	return files, nil
}
