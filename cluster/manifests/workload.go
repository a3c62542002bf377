package manifests

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// workloads returns the workloads that an object stands for: none for most objects, several
// for some custom resources (operators.go), and none for one that can't be read.
func workloads(head objectHead, raw []byte) []*service.Workload {
	var made []service.Workload
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 DaemonSet", "apps/v1 ReplicaSet", "v1 ReplicationController":
		var o struct {
			Metadata objectMeta `json:"metadata"`
			Spec     struct {
				Template podTemplate `json:"template"`
			} `json:"spec"`
		}
		if json.Unmarshal(raw, &o) == nil && !o.Metadata.ownedByWorkload() {
			made = []service.Workload{o.Spec.Template.workload(o.Metadata)}
		}
	case "v1 Pod":
		var o struct {
			podTemplate `json:",inline"`
		}
		if json.Unmarshal(raw, &o) == nil && !o.Metadata.ownedByWorkload() {
			made = []service.Workload{o.workload(o.Metadata)}
		}
	default:
		group, _, _ := strings.Cut(head.APIVersion, "/")
		if make := operators[group+" "+head.Kind]; make != nil {
			var o customResource
			if json.Unmarshal(raw, &o) == nil && o.Metadata.Name != "" {
				o.Metadata.setDefaults()
				made = make(&o)
			}
		}
	}
	var all []*service.Workload
	for _, w := range made {
		w.Kind = head.Kind
		if kept := cluster.Workload(w); kept != nil && isName(w.Key) {
			all = append(all, kept)
		}
	}
	return all
}

// isName reports whether an API server would accept an object with this name. People see it.
func isName(k service.Key) bool {
	return len(validation.IsDNS1123Subdomain(k.Name)) == 0 && len(validation.IsDNS1123Label(k.Namespace)) == 0
}

// An objectMeta is that part of an object's metadata which is needed of a workload.
type objectMeta struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace"`
	Labels          map[string]string `json:"labels"`
	OwnerReferences []struct {
		Kind string `json:"kind"`
	} `json:"ownerReferences"`
}

func (m *objectMeta) setDefaults() {
	if m.Namespace == "" {
		m.Namespace = corev1.NamespaceDefault
	}
}

func (m *objectMeta) key() service.Key {
	m.setDefaults()
	return service.Key{Namespace: m.Namespace, Name: m.Name}
}

// ownedByWorkload reports whether another workload has made the object, as in a dump of a
// cluster. That one says what runs now; the old ReplicaSets of a Deployment don't.
func (m *objectMeta) ownedByWorkload() bool {
	for _, o := range m.OwnerReferences {
		switch o.Kind {
		case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job":
			return true
		}
	}
	return false
}

// A podTemplate has what is needed of a PodTemplateSpec or a Pod. Whatever else is in it may
// be wrong.
type podTemplate struct {
	Metadata objectMeta `json:"metadata"`
	Spec     struct {
		Containers []container `json:"containers"`
	} `json:"spec"`
}

type container struct {
	Name    string `json:"name"`
	Image   string `json:"image"`
	Command any    `json:"command"` // of any form, since a mistake there must not hide the rest
	Args    any    `json:"args"`
	Env     any    `json:"env"`
	Ports   []struct {
		Name          string          `json:"name"`
		ContainerPort int32           `json:"containerPort"`
		Protocol      corev1.Protocol `json:"protocol"`
	} `json:"ports"`
}

// prefix returns the path below which the server of c answers.
func (c *container) prefix() string {
	variables, _ := c.Env.([]any)
	return cluster.PathPrefix(texts(c.Command), texts(c.Args), func(name string) string {
		for _, v := range variables {
			if one, _ := v.(map[string]any); one["name"] == name {
				value, _ := one["value"].(string)
				return value
			}
		}
		return ""
	})
}

// texts returns the texts in a list.
func texts(list any) (all []string) {
	some, _ := list.([]any)
	for _, s := range some {
		text, _ := s.(string)
		all = append(all, text)
	}
	return all
}

func (t *podTemplate) workload(of objectMeta) service.Workload {
	return service.Workload{Key: of.key(), Labels: t.Metadata.Labels, Containers: containers(t.Spec.Containers)}
}

func containers(list []container) []service.Container {
	all := make([]service.Container, 0, len(list))
	for _, c := range list {
		to := service.Container{Image: c.Image, Prefix: c.prefix()}
		for _, p := range c.Ports {
			if p.Protocol == "" || p.Protocol == corev1.ProtocolTCP {
				to.Ports = append(to.Ports, service.ContainerPort{Name: p.Name, Number: p.ContainerPort})
			}
		}
		all = append(all, to)
	}
	return all
}

// A workloadSet has the workloads of the folder. Of several with the same names the first
// counts.
type workloadSet struct {
	all   []*service.Workload
	known map[string]bool
}

func (s *workloadSet) add(some []*service.Workload) {
	for _, w := range some {
		if name := w.String(); !s.known[name] {
			if s.known == nil {
				s.known = map[string]bool{}
			}
			s.known[name] = true
			s.all = append(s.all, w)
		}
	}
}

// merged returns the labels of all maps; the later ones count.
func merged(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// ports returns ports of a container, given as name and number in turn.
func portsOf(pairs ...any) (all []service.ContainerPort) {
	for p := range slices.Chunk(pairs, 2) {
		all = append(all, service.ContainerPort{Name: p[0].(string), Number: int32(p[1].(int))}) // #nosec G115 -- constants
	}
	return all
}
