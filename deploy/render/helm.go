package render

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// A Release is the input for one installation of a chart.
type Release struct {
	Name      string
	Namespace string
	// Values take precedence over the chart's own; nil for none.
	Values map[string]any
}

// Helm renders the folder or archive of a chart as helm template does, for a new release
// on a cluster of the newest version that Helm's library knows. It calls no cluster.
// notes is what helm install tells the user.
//
// If the schema or the templates of the chart refuse the values, Helm returns an error.
func Helm(chart string, r Release) (objects []manifest.Object, notes string, err error) {
	c, err := loader.Load(chart)
	if err != nil {
		return nil, "", fmt.Errorf("the chart %s can't be read: %w", chart, err)
	}
	values, err := util.ToRenderValues(c, r.Values, common.ReleaseOptions{
		Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true,
	}, nil)
	if err != nil {
		return nil, "", err
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(context.Background(), c, values)
	if err != nil {
		return nil, "", fmt.Errorf("render the chart %s: %w", chart, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Base(name) == "NOTES.txt" {
			notes = files[name]
			continue
		}
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		read, err := manifest.Parse([]byte(files[name]), name)
		if err != nil {
			return nil, "", err
		}
		objects = append(objects, read...)
	}
	return objects, notes, nil
}

// Values reads values from YAML files. Later files take precedence, as with helm
// --values.
func Values(files ...string) (map[string]any, error) {
	values := map[string]any{}
	for _, file := range files {
		f, err := os.Open(file) // #nosec G304 -- the user names it
		if err != nil {
			return nil, fmt.Errorf("the values can't be read: %w", err)
		}
		more, err := loader.LoadValues(f)
		_ = f.Close() // read only
		if err != nil {
			return nil, fmt.Errorf("the values of %s: %w", file, err)
		}
		values = loader.MergeMaps(values, more)
	}
	return values, nil
}
