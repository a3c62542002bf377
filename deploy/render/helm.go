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

// A Release is what one installation of a chart is given.
type Release struct {
	Name      string
	Namespace string
	// Values are laid over the chart's own; nil for those alone.
	Values map[string]any
}

// Helm renders a chart's folder or archive, as helm template does, for a new
// release on a cluster of the newest version that Helm's library knows. It asks
// no cluster. notes is what the user is told after helm install.
//
// Values that the chart's schema or its templates refuse are an error.
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

// Values reads values from YAML files, each laid over those before it, as helm's
// --values does.
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
