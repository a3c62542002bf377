package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// A target is what the manifests describe: a Service, and the workload behind it.
type target struct {
	service   *corev1.Service
	workload  workload
	container *corev1.Container
	port      corev1.ServicePort
	selector  labels.Selector
}

// findTarget finds the Service that the user names among the objects, and the workload
// whose pods it selects.
func findTarget(objects []manifest.Object, o *Options) (*target, error) {
	namespace, name := splitService(o.Service)
	if name == "" {
		var err error
		if namespace, name, err = onlyService(objects); err != nil {
			return nil, err
		}
		o.Service = name
	}
	var t target
	var services []string
	for _, object := range objects {
		if object.GetKind() != "Service" {
			continue
		}
		services = append(services, object.GetName())
		if object.GetName() != name || namespace != "" && namespaceOf(object) != namespace {
			continue
		}
		if t.service != nil {
			return nil, fmt.Errorf("the manifests have the Service %s in two namespaces; name one as namespace/%s", name, name)
		}
		t.service = &corev1.Service{}
		if err := convert(object, t.service); err != nil {
			return nil, err
		}
		t.service.Namespace = namespaceOf(object)
	}
	if t.service == nil {
		return nil, fmt.Errorf("the manifests have no Service %s; they have: %s", o.Service, format.Names(services))
	}
	if len(t.service.Spec.Selector) == 0 {
		return nil, fmt.Errorf("the Service %s selects no pods", name)
	}
	if t.service.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil, fmt.Errorf("the Service %s is headless (clusterIP: None): nothing balances its traffic; name another one with --target, or add one with a cluster IP", name)
	}
	if err := t.findWorkload(objects); err != nil {
		return nil, err
	}
	var err error
	if t.selector, err = metav1.LabelSelectorAsSelector(t.workload.Selector); err != nil {
		return nil, fmt.Errorf("the selector of the %s: %w", &t.workload, err)
	}
	return &t, t.choosePort(o.Port)
}

// onlyService returns the Service that is meant if the user names none.
func onlyService(objects []manifest.Object) (namespace, name string, err error) {
	var found, usable []string
	for _, o := range objects {
		if o.GetKind() != "Service" {
			continue
		}
		found = append(found, o.GetName())
		var s corev1.Service
		if err := convert(o, &s); err != nil {
			return "", "", err
		}
		if len(s.Spec.Selector) > 0 && s.Spec.ClusterIP != corev1.ClusterIPNone {
			namespace, name = namespaceOf(o), o.GetName()
			usable = append(usable, name)
		}
	}
	if len(found) == 1 {
		usable = found // its own error says what is wrong with it
		for _, o := range objects {
			if o.GetKind() == "Service" {
				namespace, name = namespaceOf(o), o.GetName()
			}
		}
	}
	if len(usable) != 1 {
		return "", "", fmt.Errorf("name the Service to send the traffic to with --target; the manifests have: %s", format.Names(found))
	}
	return namespace, name, nil
}

// choosePort finds the port, and the container that listens on it.
func (t *target) choosePort(want string) error {
	ports := t.service.Spec.Ports
	i := slices.IndexFunc(ports, func(p corev1.ServicePort) bool {
		return want == "" && len(ports) == 1 || p.Name == want || strconv.Itoa(int(p.Port)) == want
	})
	if i < 0 {
		var have []string
		for _, p := range ports {
			have = append(have, fmt.Sprint(p.Port))
		}
		return fmt.Errorf("name a port of the Service %s: it has %s", t.service.Name, format.Names(have))
	}
	t.port = ports[i]
	containers := t.workload.Template.Spec.Containers
	if len(containers) == 0 {
		return fmt.Errorf("the %s has no container", &t.workload)
	}
	t.container = &containers[0]
	for i := range containers {
		for _, p := range containers[i].Ports {
			if p.Name == t.port.TargetPort.StrVal && p.Name != "" || p.ContainerPort == t.port.TargetPort.IntVal && p.ContainerPort != 0 {
				t.container = &containers[i]
			}
		}
	}
	return nil
}

// podPort returns the port on which the pods serve the traffic.
func (t *target) podPort() int {
	return t.resolve(t.port.TargetPort.StrVal, t.port.TargetPort.IntVal, t.port.Port)
}

func (t *target) resolve(name string, number, otherwise int32) int {
	for _, p := range t.container.Ports {
		if name != "" && p.Name == name {
			return int(p.ContainerPort)
		}
	}
	if number != 0 {
		return int(number)
	}
	return int(otherwise)
}

// probe returns the path and the port to probe: as the user says, or as in the
// container's own probe. The path is empty if there is none.
func (t *target) probe(path string, own *corev1.Probe) (string, int) {
	switch {
	case path == "-":
		return "", 0
	case path != "":
		return path, t.podPort()
	case own == nil || own.HTTPGet == nil:
		return "", 0
	}
	get := own.HTTPGet
	if get.Scheme == corev1.URISchemeHTTPS {
		return "", 0
	}
	return "/" + strings.TrimPrefix(get.Path, "/"), t.resolve(get.Port.StrVal, get.Port.IntVal, int32(t.podPort())) // #nosec G115 -- a port
}

// address returns the address of the Service: its cluster IP and port.
func (t *target) address(ctx context.Context, client kubernetes.Interface) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := client.CoreV1().Services(t.service.Namespace).Get(ctx, t.service.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if net.ParseIP(s.Spec.ClusterIP) == nil {
		return "", fmt.Errorf("the Service %s has no cluster IP (%q): there is nothing to balance its traffic", s.Name, s.Spec.ClusterIP)
	}
	return net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(int(t.port.Port))), nil
}

func (t *target) rollout(client kubernetes.Interface) rollout.Workload {
	return rollout.Workload{Client: client, Kind: t.workload.kind, Namespace: t.workload.namespace, Name: t.workload.name}
}

func namespaceOf(o manifest.Object) string {
	if ns := o.GetNamespace(); ns != "" {
		return ns
	}
	return metav1.NamespaceDefault
}

func convert(from manifest.Object, to any) error {
	text, err := from.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", from, from.File, err)
	}
	return nil
}

// setReplicas sets the workload's number of replicas in the objects.
func (t *target) setReplicas(objects []manifest.Object, n int) error {
	o, err := t.among(objects)
	if err != nil {
		return err
	}
	return unstructured.SetNestedField(o.Object, int64(n), "spec", "replicas")
}

// setImage sets the image of the target's container in the objects.
func (t *target) setImage(objects []manifest.Object, image string) error {
	o, err := t.among(objects)
	if err != nil {
		return err
	}
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(o.Object, path...)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if container, ok := c.(map[string]any); ok && container["name"] == t.container.Name {
			container["image"] = image
		}
	}
	return unstructured.SetNestedSlice(o.Object, containers, path...)
}

// among finds the workload in the objects.
func (t *target) among(objects []manifest.Object) (manifest.Object, error) {
	for _, o := range objects {
		if t.is(o) {
			return o, nil
		}
	}
	return manifest.Object{}, fmt.Errorf("the %s is gone from the manifests", &t.workload)
}

// is reports whether an object is the target's workload.
func (t *target) is(o manifest.Object) bool {
	return o.GetKind() == t.workload.kind && o.GetName() == t.workload.name && namespaceOf(o) == t.workload.namespace
}
