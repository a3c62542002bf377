package render_test

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"kubernaut.io/dynamic-toolset/deploy/render"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
)

// TestAPIServer applies every rendering to a real API server, as a dry run: it knows
// every kind and field, finds nothing wrong, and its Pod Security admission accepts the
// pods.
func TestAPIServer(t *testing.T) {
	cp := simtest.Start(t)
	config := rest.CopyConfig(cp.RESTConfig())
	config.QPS = -1 // nothing else uses this server
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	prepare(ctx, t, config)
	server := newDryRun(t, config)

	every := renderings(t)
	every["every value, chart"] = everything(t)
	for way, objects := range every {
		t.Run(way, func(t *testing.T) {
			for _, o := range objects {
				if err := server.apply(ctx, o); err != nil {
					t.Errorf("%s: %v", o, err)
				}
			}
			for _, d := range all[appsv1.Deployment](t, objects, "Deployment") {
				if err := createPod(ctx, client, pod(d)); err != nil {
					t.Errorf("a pod of %s: %v", d.Name, err)
				}
			}
		})
	}
	t.Run("an unknown field is refused", func(t *testing.T) { unknownFields(ctx, t, server, every["production, kustomize"]) })
	t.Run("a pod that is less locked down is refused", func(t *testing.T) {
		restricted(ctx, t, client, every["base, kustomize"])
	})
}

// prepare creates the custom resource definitions and two namespaces: kubernaut-system as
// in deploy/base, and one with the same Pod Security level.
func prepare(ctx context.Context, t *testing.T, config *rest.Config) {
	applier, err := manifest.NewApplier(config)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := manifest.Read("testdata/crds", "../base/namespace.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.GetKind() == "Namespace" {
			team := o
			team.Unstructured = o.DeepCopy()
			team.SetName("team-a")
			objects = append(objects, team)
			break
		}
	}
	if err := applier.Apply(ctx, objects); err != nil {
		t.Fatal(err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for {
		served := map[string]bool{}
		list, err := d.ServerResourcesForGroupVersion("monitoring.coreos.com/v1")
		if err == nil {
			for _, r := range list.APIResources {
				served[r.Kind] = true
			}
		}
		if served["ServiceMonitor"] && served["PrometheusRule"] {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the custom resources are not served: %v, %v", served, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// everything returns the objects of the chart with every value set.
func everything(t *testing.T) []manifest.Object {
	t.Helper()
	values, err := render.Values("testdata/everything-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, _, err := render.Helm(chartDir, render.Release{Name: name, Namespace: namespace, Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// dryRun applies objects without storing them.
type dryRun struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

func newDryRun(t *testing.T, config *rest.Config) dryRun {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return dryRun{client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))}
}

// apply does what kubectl apply --server-side --dry-run=server --validate=strict does.
func (s dryRun) apply(ctx context.Context, o manifest.Object) error {
	mapping, err := s.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = s.client.Resource(mapping.Resource)
	if o.GetNamespace() != "" {
		resource = s.client.Resource(mapping.Resource).Namespace(o.GetNamespace())
	}
	data, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	_, err = resource.Patch(ctx, o.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{
		FieldManager: "test", Force: &force, DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

// unknownFields shows that the dry run notices mistakes: it refuses each object with a
// field that no kind has.
func unknownFields(ctx context.Context, t *testing.T, server dryRun, objects []manifest.Object) {
	for _, o := range objects {
		wrong := manifest.Object{Unstructured: o.DeepCopy()}
		if spec, ok := wrong.Object["spec"].(map[string]any); ok {
			spec["nonsense"] = "x"
		} else {
			wrong.Object["nonsense"] = "x"
		}
		if err := server.apply(ctx, wrong); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("%s with a field of nonsense: %v", o, err)
		}
	}
}

// pod returns the pod that the Deployment's controller would create.
func pod(d appsv1.Deployment) *corev1.Pod {
	p := &corev1.Pod{Spec: d.Spec.Template.Spec}
	p.Namespace, p.GenerateName, p.Labels = d.Namespace, d.Name+"-", d.Spec.Template.Labels
	return p
}

func createPod(ctx context.Context, client kubernetes.Interface, p *corev1.Pod) error {
	_, err := client.CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

// restricted shows that the namespace enforces its level: if any restriction of the pod
// is removed, the API server refuses the pod and says why.
func restricted(ctx context.Context, t *testing.T, client kubernetes.Interface, objects []manifest.Object) {
	d := deployment(t, objects)
	yes, root := true, int64(0)
	for want, loosen := range map[string]func(*corev1.PodSpec){
		"seccompProfile":            func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = nil },
		"runAsNonRoot":              func(s *corev1.PodSpec) { s.SecurityContext.RunAsNonRoot = nil },
		"runAsUser=0":               func(s *corev1.PodSpec) { s.SecurityContext.RunAsUser = &root },
		"unrestricted capabilities": func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.Capabilities = nil },
		"allowPrivilegeEscalation":  func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes },
		"host namespaces":           func(s *corev1.PodSpec) { s.HostNetwork = true },
	} {
		p := pod(*d.DeepCopy())
		loosen(&p.Spec)
		if err := createPod(ctx, client, p); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "PodSecurity") {
			t.Errorf("a pod that violates %s: %v", want, err)
		}
	}
}
