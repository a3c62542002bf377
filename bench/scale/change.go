package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
)

// A changeKind is a kind of change to a toolset's Service.
type changeKind string

const (
	annotate changeKind = "annotation" // changes the description
	relabel  changeKind = "label"      // visible in /api/v1/services only
	rePort   changeKind = "port"       // changes the URL
	add      changeKind = "added"      // creates another Service
	remove   changeKind = "deleted"    // deletes a Service that was added before
)

// mix is the share of each kind, in twentieths.
var mix = []struct {
	kind changeKind
	of20 int
}{{annotate, 6}, {relabel, 4}, {rePort, 4}, {add, 3}, {remove, 3}}

// A change is one request to the API server, and how to see its effect.
type change struct {
	n         int
	kind      changeKind
	namespace string
	name      string
	// shows is a part of the toolset's JSON (of the Service's, for relabel) that appears
	// when the change becomes visible. For remove it is one that disappears.
	shows string
	// do makes the change and returns the new resource version of the Service, or "" if it
	// was deleted.
	do func(context.Context, kubernetes.Interface) (string, error)
}

// changes generates an endless sequence of changes, which depends on the seed alone. It
// changes all toolsets once before it changes one again.
type changes struct {
	plan  *fixtures.Plan
	rand  *rand.Rand
	order []int                  // the toolsets, shuffled
	next  int                    // index in order
	n     int                    // number of the next change
	added []types.NamespacedName // Services that were added and not deleted yet
}

func newChanges(p *fixtures.Plan, seed uint64) *changes {
	r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a sequence that can be repeated
	// The first number is random, as in a cluster that is used again the values of an
	// earlier run would be no changes.
	return &changes{plan: p, rand: r, order: r.Perm(p.Toolsets()), n: r.IntN(1_000_000)}
}

// take returns the next change.
func (c *changes) take() *change {
	kind, roll := mix[0].kind, c.rand.IntN(20)
	for _, m := range mix {
		if kind = m.kind; roll < m.of20 {
			break
		}
		roll -= m.of20
	}
	// With this many others added since, the Service to delete has certainly been created.
	if kind == remove && len(c.added) < 50 {
		kind = add
	}
	svc := c.plan.Toolset(c.order[c.next%len(c.order)])
	ch := &change{n: c.n, kind: kind, namespace: svc.Namespace, name: svc.Name}
	c.n++
	switch kind {
	case add:
		c.create(ch)
		return ch
	case remove:
		c.delete(ch)
		return ch
	}
	c.next++
	switch kind {
	case annotate:
		ch.shows = fmt.Sprintf("description number %d of the scale run", ch.n)
		ch.patch(`{"metadata":{"annotations":{"kubernaut.io/toolset-description":"` + ch.shows + `"}}}`)
	case relabel:
		value := "r" + strconv.Itoa(ch.n)
		ch.shows = `"revision":"` + value + `"`
		ch.patch(`{"metadata":{"labels":{"revision":"` + value + `"}}}`)
	case rePort:
		port := svc.Spec.Ports[0]
		port.Port = int32(20_000 + (int(port.Port)+ch.n)%27_000) // #nosec G115 -- below 47,000; not keptPort
		ch.shows = fmt.Sprintf(":%d", port.Port)
		ch.patch(fmt.Sprintf(`{"spec":{"ports":[{"name":%q,"port":%d,"protocol":"TCP","targetPort":%q}]}}`, port.Name, port.Port, port.TargetPort.String()))
	}
	return ch
}

func (ch *change) patch(merge string) {
	ch.do = func(ctx context.Context, client kubernetes.Interface) (string, error) {
		svc, err := client.CoreV1().Services(ch.namespace).Patch(ctx, ch.name, types.MergePatchType, []byte(merge), metav1.PatchOptions{})
		return versionOf(svc), err
	}
}

func (c *changes) create(ch *change) {
	svc := fixtures.BackEnd(ch.namespace, ch.n)
	svc.GenerateName, svc.Name = "", fmt.Sprintf("added-%d-%s", ch.n, svc.Labels["app.kubernetes.io/name"])
	ch.name, ch.shows = svc.Name, `"name":"`+svc.Name+`"`
	c.added = append(c.added, types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name})
	ch.do = func(ctx context.Context, client kubernetes.Interface) (string, error) {
		made, err := client.CoreV1().Services(svc.Namespace).Create(ctx, svc, metav1.CreateOptions{})
		return versionOf(made), err
	}
}

func versionOf(svc *corev1.Service) string {
	if svc == nil {
		return ""
	}
	return svc.ResourceVersion
}

func (c *changes) delete(ch *change) {
	gone := c.added[0]
	c.added = c.added[1:]
	ch.namespace, ch.name, ch.shows = gone.Namespace, gone.Name, `"name":"`+gone.Name+`"`
	ch.do = func(ctx context.Context, client kubernetes.Interface) (string, error) {
		return "", client.CoreV1().Services(gone.Namespace).Delete(ctx, gone.Name, metav1.DeleteOptions{})
	}
}

// cleanUp deletes the Services that were added, so that the cluster can be used again.
func (c *changes) cleanUp(ctx context.Context, client kubernetes.Interface) {
	for _, k := range c.added {
		if err := client.CoreV1().Services(k.Namespace).Delete(ctx, k.Name, metav1.DeleteOptions{}); err != nil {
			say("%s was not removed: %v", k, err)
		}
	}
	c.added = nil
}
