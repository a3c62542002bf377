package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// fieldManager owns the fields that are applied.
const fieldManager = "toolset-verification"

const (
	callTimeout = 15 * time.Second // of one call to the API server
	callTries   = 4                // with calls that were not answered in that time
)

// call calls the API server by f, once more if it does not answer in time. So f must be
// something that may be done twice.
func call(ctx context.Context, f func(ctx context.Context) error) error {
	for n := 1; ; n++ {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		err := f(callCtx)
		late := callCtx.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil || n == callTries {
			return err
		}
	}
}

// Applier applies objects to a cluster.
type Applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// NewApplier returns an Applier for a cluster.
func NewApplier(config *rest.Config) (*Applier, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Applier{client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))}, nil
}

// Apply applies objects in their order. If one of a namespaced kind has no namespace,
// it goes into "default".
func (a *Applier) Apply(ctx context.Context, objects []Object) error {
	defined := definitions(objects)
	for _, o := range objects {
		r, err := a.resource(o)
		if err != nil && defined[o.GroupVersionKind().GroupKind()] {
			r, err = a.await(ctx, o)
		}
		if err != nil {
			return err
		}
		err = call(ctx, func(ctx context.Context) error {
			_, err := r.Apply(ctx, o.GetName(), o.Unstructured, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
			return err
		})
		if err != nil {
			return fmt.Errorf("apply %s of %s: %w", o, o.File, err)
		}
	}
	return nil
}

// await waits until the API server serves a kind that was defined just now.
func (a *Applier) await(ctx context.Context, o Object) (dynamic.ResourceInterface, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		r, err := a.resource(o)
		if err == nil {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Delete deletes objects in reverse order, without waiting until they are gone. It is
// not an error if one does not exist.
func (a *Applier) Delete(ctx context.Context, objects []Object) error {
	var errs []error
	for _, o := range slices.Backward(objects) {
		r, err := a.resource(o)
		if err == nil {
			background := metav1.DeletePropagationBackground
			err = call(ctx, func(ctx context.Context) error {
				return r.Delete(ctx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
			})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete %s: %w", o, err))
		}
	}
	return errors.Join(errs...)
}

func (a *Applier) resource(o Object) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		a.mapper.Reset() // its definition may have just been applied
		mapping, err = a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: the cluster knows no such kind: %w", o, o.File, err)
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return a.client.Resource(mapping.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return a.client.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
}
