package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// image makes the container image of each Linux platform, as the Dockerfile describes it
// (a test compares them), and an index of them.
func (r *release) image(context.Context) error {
	l := newLayout()
	var manifests []ocispec.Descriptor
	for _, b := range r.built {
		if b.platform.os != "linux" {
			continue
		}
		m, err := r.platformImage(l, b)
		if err != nil {
			return err
		}
		manifests = append(manifests, m)
	}
	if len(manifests) == 0 {
		return errors.New("none of the platforms is Linux, for which there are images")
	}
	index, err := l.addJSON(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageIndex,
		Manifests:   manifests,
		Annotations: r.labels(),
	})
	if err != nil {
		return err
	}
	return r.writeLayout(l, index, r.version, fmt.Sprintf("%s_%s_image.tar", programName, r.number()))
}

// platformImage adds an image with one layer: the program and the CA roots.
func (r *release) platformImage(l *layout, b built) (ocispec.Descriptor, error) {
	layer, err := pack([]file{
		{programName, 0o755, b.program},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, r.roots},
	}, r.created)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	packed, err := compress(layer)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	where := ocispec.Platform{OS: b.platform.os, Architecture: b.platform.arch}
	config, err := l.addJSON(ocispec.MediaTypeImageConfig, ocispec.Image{
		Created:  &r.created,
		Platform: where,
		Config: ocispec.ImageConfig{
			User:         "65532:65532",
			ExposedPorts: map[string]struct{}{"8080/tcp": {}, "9090/tcp": {}},
			Entrypoint:   []string{"/" + programName},
			WorkingDir:   "/",
			StopSignal:   "SIGTERM",
			Labels:       r.labels(),
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
		History: []ocispec.History{{
			Created:   &r.created,
			CreatedBy: "deploy/release",
			Comment:   "the program and the CA roots",
		}},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      config,
		Layers:      []ocispec.Descriptor{l.add(ocispec.MediaTypeImageLayerGzip, packed)},
		Annotations: r.labels(),
	})
	manifest.Platform = &where
	return manifest, err
}

// labels are those of the Dockerfile. Registries show them from the annotations of the
// manifest, container runtimes from the configuration.
func (r *release) labels() map[string]string {
	return map[string]string{
		ocispec.AnnotationVersion:       r.version,
		ocispec.AnnotationRevision:      r.revision,
		ocispec.AnnotationCreated:       r.created.Format(time.RFC3339),
		ocispec.AnnotationVendor:        "Kubernaut",
		ocispec.AnnotationSource:        "https://kubernaut.io/dynamic-toolset",
		ocispec.AnnotationDocumentation: "https://kubernaut.io/dynamic-toolset",
		ocispec.AnnotationTitle:         "Dynamic Toolset Service",
		ocispec.AnnotationDescription:   "Finds the observability back ends of a Kubernetes cluster, checks their health, and answers toolset lookups of AI agents over HTTP.",
	}
}

func (r *release) writeLayout(l *layout, of ocispec.Descriptor, tag, name string) error {
	files, err := l.files(of, tag)
	if err != nil {
		return err
	}
	packed, err := pack(files, r.created)
	if err != nil {
		return err
	}
	return os.WriteFile(r.file(name), packed, 0o644)
}
