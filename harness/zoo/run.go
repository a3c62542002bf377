package zoo

import (
	"bytes"
	"context"
	_ "embed" // for the manifest
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/image"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

//go:embed deploy.yaml
var manifest string

var manifestTemplate = template.Must(template.New("deploy.yaml").Funcs(template.FuncMap{"json": func(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}}).Parse(manifest))

// Image returns the image of a variant. On kind it has no stop signal.
func (p *Program) Image(v Variant) cluster.Image {
	i := cluster.Image{Name: p.image(v), Root: p.Root, Files: p.Files, StopSignal: v.StopSignal}
	if p.Root != "" {
		i.Archive = func(ctx context.Context, name string, to io.Writer) error {
			img, err := image.Open(p.Root, "")
			if err != nil {
				return err
			}
			return errors.Join(img.WriteArchive(ctx, name, to), img.Close())
		}
	}
	return i
}

func (p *Program) image(v Variant) string { return "zoo/" + p.Server.Name + ":" + lower(v.Name) }

// Manifest returns the manifest of a variant, in a namespace.
func (p *Program) Manifest(v Variant, namespace string) ([]byte, error) {
	grace, ready := v.Grace, v.Ready
	if grace == 0 {
		grace = 30
	}
	if ready == "" {
		ready = p.Server.Ready
	}
	if ready == "" {
		ready = p.Server.Path
	}
	env := map[string]string{"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
	for name, value := range p.Server.Env {
		env[name] = value
	}
	var out bytes.Buffer
	err := manifestTemplate.Execute(&out, map[string]any{
		"Namespace": namespace, "Name": p.Server.Name, "Image": p.image(v), "Grace": grace, "Command": v.Command, "Env": env, "Port": p.Server.Port,
		"Ready": ready, "PreStop": v.PreStop,
	})
	return out.Bytes(), err
}

// A Runner verifies variants in a cluster that they share.
type Runner struct {
	Cluster cluster.Cluster
	Agent   string // the load generator's program
	Dir     string // for manifests
	Say     func(format string, args ...any)
}

// rate is the number of requests per second of a run. Several run at the same time.
const rate = 150

// Verify verifies a variant by one rolling restart, in a namespace of its own.
func (r *Runner) Verify(ctx context.Context, p *Program, v Variant, namespace string) (*record.Run, error) {
	text, err := p.Manifest(v, namespace)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.Dir, namespace+".yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	const rolling = "rolling-restart"
	steps, err := scenario.Parse(rolling, 1)
	if err != nil {
		return nil, err
	}
	traffic := verify.Traffic{Rate: rate, Paths: []string{p.Server.Path}}
	if v.SlowPath != "" {
		traffic.SlowPath, traffic.SlowFor = v.SlowPath, time.Duration(v.SlowSeconds)*time.Second
	}
	return verify.Run(ctx, r.Cluster, verify.Options{
		Command: []string{"go", "run", "./harness/cmd/zoo", p.Server.Name + "/" + v.Name},
		Images:  []cluster.Image{p.Image(v)}, Manifests: []string{file}, Service: p.Server.Name, AgentBinary: r.Agent,
		Steps: steps, Scenario: rolling, Baseline: 3 * time.Second, ReadyTimeout: 2 * time.Minute, Cleanup: true, Traffic: traffic, Say: r.Say,
	})
}

// NamespaceOf returns a namespace for a run of a variant.
func NamespaceOf(p *Program, v Variant, run int) string {
	return fmt.Sprintf("%s-%s-%d", p.Server.Name, lower(v.Name), run)
}

// lower returns a variant's name as a part of a namespace's.
func lower(name string) string { return string(bytes.ToLower([]byte(name))) }
