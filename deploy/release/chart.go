package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// Helm's media types of a chart as an OCI artifact (https://helm.sh/docs/topics/registries/).
const (
	chartConfigType = "application/vnd.cncf.helm.config.v1+json"
	chartLayerType  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// chart packs the chart with the version of the release. Helm's own packing would write
// the present time into the archive.
func (r *release) chart(context.Context) error {
	source, err := loader.LoadDir(filepath.Join(r.source, "deploy", "chart"))
	if err != nil {
		return err
	}
	var files []file
	for _, f := range source.Raw { // without what .helmignore names
		data := f.Data
		if f.Name == "Chart.yaml" {
			if data, err = r.versioned(data); err != nil {
				return err
			}
		}
		files = append(files, file{source.Name() + "/" + f.Name, 0o644, data})
	}
	slices.SortFunc(files, func(a, b file) int {
		// Chart.yaml is the first, as Helm packs it.
		if first, second := strings.HasSuffix(a.name, "/Chart.yaml"), strings.HasSuffix(b.name, "/Chart.yaml"); first != second {
			if first {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	packed, err := packGzip(files, r.created)
	if err != nil {
		return err
	}
	chart, err := loader.LoadArchive(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("what was packed can't be read: %w", err)
	}
	if err := chart.Validate(); err != nil {
		return err
	}
	if m := chart.Metadata; m.Version != r.number() || m.AppVersion != r.version {
		return fmt.Errorf("the chart has version %s and appVersion %s instead of %s and %s", m.Version, m.AppVersion, r.number(), r.version)
	}
	if err := os.WriteFile(r.file(fmt.Sprintf("%s-%s.tgz", chart.Name(), r.number())), packed, 0o644); err != nil {
		return err
	}

	config, err := json.Marshal(chart.Metadata)
	if err != nil {
		return err
	}
	l := newLayout()
	manifest, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    l.add(chartConfigType, config),
		Layers:    []ocispec.Descriptor{l.add(chartLayerType, packed)},
		Annotations: map[string]string{
			ocispec.AnnotationTitle:       chart.Name(),
			ocispec.AnnotationVersion:     r.number(),
			ocispec.AnnotationDescription: chart.Metadata.Description,
			ocispec.AnnotationCreated:     r.created.Format(time.RFC3339),
			ocispec.AnnotationRevision:    r.revision,
		},
	})
	if err != nil {
		return err
	}
	return r.writeLayout(l, manifest, r.number(), fmt.Sprintf("%s_%s_chart.tar", programName, r.number()))
}

var (
	versionLine    = regexp.MustCompile(`(?m)^version: .*$`)
	appVersionLine = regexp.MustCompile(`(?m)^appVersion: .*$`)
)

// versioned returns Chart.yaml with the version of the release; its comments stay.
func (r *release) versioned(data []byte) ([]byte, error) {
	if len(versionLine.FindAll(data, 2)) != 1 || len(appVersionLine.FindAll(data, 2)) != 1 {
		return nil, errors.New("the file Chart.yaml needs one line that begins with version: and one with appVersion")
	}
	data = versionLine.ReplaceAllLiteral(data, []byte("version: "+r.number()))
	return appVersionLine.ReplaceAllLiteral(data, []byte("appVersion: "+r.version)), nil
}
