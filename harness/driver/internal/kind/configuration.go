package kind

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

type config = v1alpha4.Cluster

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 1 << 20

// configuration returns the configuration in the user's file, if there is one. If it
// has no nodes, a control plane and workers are added. A port of this host is mapped to
// the gateway.
func configuration(file string, workers, port int) (*config, error) {
	c := &config{TypeMeta: v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"}}
	if file != "" {
		var err error
		if c, err = readConfiguration(file); err != nil {
			return nil, fmt.Errorf("the kind configuration %s: %w", file, err)
		}
	}
	c.Name = "" // the cluster has its own name
	if len(c.Nodes) == 0 {
		c.Nodes = []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}}
		for range workers {
			c.Nodes = append(c.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole})
		}
	}
	first := slices.IndexFunc(c.Nodes, func(n v1alpha4.Node) bool { return n.Role == v1alpha4.ControlPlaneRole || n.Role == "" })
	if first < 0 {
		return nil, fmt.Errorf("the kind configuration %s names no node of the role control-plane", file)
	}
	c.Nodes[first].ExtraPortMappings = append(c.Nodes[first].ExtraPortMappings, v1alpha4.PortMapping{
		ContainerPort: gatewayPort, HostPort: int32(port), ListenAddress: "127.0.0.1", // #nosec G115 -- a port
	})
	return c, nil
}

// readConfiguration reads a file as strictly as kind does.
func readConfiguration(file string) (*config, error) {
	f, err := os.Open(file) // #nosec G304 -- the user names it
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("it is larger than %d bytes", maxConfig)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var c config
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if c.Kind != "Cluster" || c.APIVersion != "kind.x-k8s.io/v1alpha4" {
		return nil, fmt.Errorf("it is %q of %q; it must be kind: Cluster, apiVersion: kind.x-k8s.io/v1alpha4", c.Kind, c.APIVersion)
	}
	return &c, nil
}
