// Command render prints the objects of an overlay or of the chart, for people who have
// neither kubectl nor helm.
//
//	go run ./cmd/render overlay ../overlays/production
//	go run ./cmd/render chart ../chart kubernaut-system ../chart/ci/production-values.yaml
package main

import (
	"errors"
	"fmt"
	"os"

	"kubernaut.io/dynamic-toolset/deploy/render"
	"kubernaut.io/dynamic-toolset/harness/manifest"
)

const usage = `use: render overlay FOLDER
     render chart FOLDER NAMESPACE [VALUES...]   the release's name is dynamic-toolset
     render copy DEPLOY                          renew the chart's copies of the rules and the dashboard`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var objects []manifest.Object
	var err error
	switch {
	case len(args) == 2 && args[0] == "overlay":
		objects, err = manifest.Kustomize(args[1])
	case len(args) >= 3 && args[0] == "chart":
		var values map[string]any
		if values, err = render.Values(args[3:]...); err == nil {
			objects, _, err = render.Helm(args[1], render.Release{Name: "dynamic-toolset", Namespace: args[2], Values: values})
		}
	case len(args) == 2 && args[0] == "copy":
		return render.Copy(args[1])
	default:
		err = errors.New(usage)
	}
	if err != nil {
		return err
	}
	return render.Write(os.Stdout, objects)
}
