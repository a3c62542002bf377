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

// A changeKind is what is done to a toolset's Service.
type changeKind string

const (
	annotate changeKind = "annotation" // another description
	relabel  changeKind = "label"      // shown in the list of services only
	rePort   changeKind = "port"       // another URL
	add      changeKind = "added"
	remove   changeKind = "deleted" // one that was added before
)

// mix is how often each kind comes, of 20.
var mix = []struct {
	kind changeKind
	of20 int
}{{annotate, 6}, {relabel, 4}, {rePort, 4}, {add, 3}, {remove, 3}}

// A change is one request to the API server, and how it shows.
type change struct {
	n         int
	kind      changeKind
	namespace string
	name      string
	// shows is a part of the toolset's JSON (of the service's, for relabel) that
	// is there once the change is visible, and was not before. Of a deletion it
	// is what is there until then.
	shows string
	// do makes the change and returns the Service's new resource version, empty
	// if it is gone.
	do func(context.Context, kubernetes.Interface) (string, error)
}

// changes makes an endless, repeatable sequence of changes. Each goes to
// another toolset than those before it, until all have had one.
type changes struct {
	plan  *fixtures.Plan
	rand  *rand.Rand
	order []int // of the toolsets
	next  int
	n     int
	added []types.NamespacedName // and not yet deleted
}

func newChanges(p *fixtures.Plan, seed uint64) *changes {
	r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a sequence that can be had again
	// Not from 0 on: a cluster that is used again must not be told what an
	// earlier run has told it.
	return &changes{plan: p, rand: r, order: r.Perm(p.Toolsets()), n: r.IntN(1_000_000)}
}

func (c *changes) take() *change {
	kind, roll := mix[0].kind, c.rand.IntN(20)
	for _, m := range mix {
		if kind = m.kind; roll < m.of20 {
			break
		}
		roll -= m.of20
	}
	// So many are left alone that the creation of one has long ended.
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

// cleanUp deletes what was added, so that a cluster can be used again.
func (c *changes) cleanUp(ctx context.Context, client kubernetes.Interface) {
	for _, k := range c.added {
		if err := client.CoreV1().Services(k.Namespace).Delete(ctx, k.Name, metav1.DeleteOptions{}); err != nil {
			say("%s was not removed: %v", k, err)
		}
	}
	c.added = nil
}
