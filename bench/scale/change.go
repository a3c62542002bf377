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

// A changeKind is a kind of change to a Service or its workload.
type changeKind string

const (
	annotate changeKind = "annotation" // changes the description
	relabel  changeKind = "label"      // visible in /api/v1/services only
	rePort   changeKind = "port"       // changes the URL
	add      changeKind = "added"      // creates another Service
	remove   changeKind = "deleted"    // deletes a Service that was added before
	reimage  changeKind = "image"      // of the pods, which the evidence names
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
	// when the change becomes visible, or disappears if the toolset is gone then.
	shows string
	gone  bool
	// do makes the change and returns the new resource version of the Service, or "" if it
	// has none, as it was deleted or its workload was changed.
	do func(context.Context, kubernetes.Interface) (string, error)
	// undoes is the change that this one takes back; it is made once that is done. Where the
	// API server is slower than the changes come, it would else overtake it.
	undoes *change
	done   chan struct{} // closed when the change is visible, or was given up
}

// changes generates an endless sequence of changes, which depends on the seed alone. It
// changes all toolsets once before it changes one again.
type changes struct {
	plan  *fixtures.Plan
	rand  *rand.Rand
	order []int     // the toolsets, shuffled
	next  int       // index in order
	n     int       // number of the next change
	added []*change // those that added a Service which was not deleted yet

	others []int    // the Services that are no toolsets, shuffled, if they have workloads
	turned []turned // those of them that are toolsets now
}

// A turned is a Service that became a toolset as its pods run another image.
type turned struct {
	svc *corev1.Service
	by  *change
}

// Ports that back ends are given. None is the usual port of some product (25672 is that of
// RabbitMQ's nodes), as a Service with such a port may not be what its labels say.
const (
	firstPort = 30_000
	ports     = 17_000
)

// enough is how many others must have been added or turned since, so that what was is
// usually done.
const enough = 50

func newChanges(p *fixtures.Plan, seed uint64) *changes {
	r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a sequence that can be repeated
	// The first number is random, as in a cluster that is used again the values of an
	// earlier run would be no changes.
	c := &changes{plan: p, rand: r, order: r.Perm(p.Toolsets()), n: r.IntN(1_000_000)}
	if p.Workloads {
		c.others = r.Perm(p.Services - p.Toolsets())
	}
	return c
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
	if kind == remove && len(c.added) < enough {
		kind = add
	}
	if kind == annotate && c.plan.Workloads && c.rand.IntN(2) == 0 {
		kind = reimage
	}
	svc := c.plan.Toolset(c.order[c.next%len(c.order)])
	ch := &change{n: c.n, kind: kind, namespace: svc.Namespace, name: svc.Name, done: make(chan struct{})}
	c.n++
	switch kind {
	case add:
		c.create(ch)
		return ch
	case remove:
		c.delete(ch)
		return ch
	case reimage:
		c.turn(ch)
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
		port.Port = int32(firstPort + (int(port.Port)+ch.n)%ports) // #nosec G115 -- below keptPort
		ch.shows = fmt.Sprintf(":%d", port.Port)
		target := strconv.Quote(port.TargetPort.String())
		if c.plan.Workloads { // which tell the number behind the name; it would not change
			target = strconv.Itoa(int(port.Port))
		}
		ch.patch(fmt.Sprintf(`{"spec":{"ports":[{"name":%q,"port":%d,"protocol":"TCP","targetPort":%s}]}}`, port.Name, port.Port, target))
	}
	return ch
}

// turn makes an ordinary Service a toolset, as its pods run another image. Or it takes the
// first of these back, so that there are never many.
func (c *changes) turn(ch *change) {
	var svc *corev1.Service
	image := fixtures.BackEndImage
	if ch.gone = len(c.turned) >= enough; ch.gone {
		svc, ch.undoes, c.turned = c.turned[0].svc, c.turned[0].by, c.turned[1:]
		image = fixtures.Image(svc)
	} else {
		svc = c.plan.Other(c.others[0])
		c.others = append(c.others[1:], c.others[0])
		c.turned = append(c.turned, turned{svc, ch})
	}
	ch.namespace, ch.name, ch.shows = svc.Namespace, svc.Name, `"name":"`+svc.Name+`"`
	ch.do = func(ctx context.Context, client kubernetes.Interface) (string, error) {
		return "", setImage(ctx, client, svc, image)
	}
}

// setImage makes the pods of a Service run another image.
func setImage(ctx context.Context, client kubernetes.Interface, svc *corev1.Service, image string) error {
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":%q,"image":%q}]}}}}`, fixtures.Container, image)
	_, err := client.AppsV1().Deployments(svc.Namespace).Patch(ctx, svc.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
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
	c.added = append(c.added, ch)
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
	ch.namespace, ch.name, ch.shows, ch.gone, ch.undoes = gone.namespace, gone.name, gone.shows, true, gone
	ch.do = func(ctx context.Context, client kubernetes.Interface) (string, error) {
		return "", client.CoreV1().Services(gone.namespace).Delete(ctx, gone.name, metav1.DeleteOptions{})
	}
}

// cleanUp deletes the Services that were added and takes images back, so that the cluster
// can be used again.
func (c *changes) cleanUp(ctx context.Context, client kubernetes.Interface) {
	for _, ch := range c.added {
		if err := client.CoreV1().Services(ch.namespace).Delete(ctx, ch.name, metav1.DeleteOptions{}); err != nil {
			say("%s/%s was not removed: %v", ch.namespace, ch.name, err)
		}
	}
	for _, t := range c.turned {
		if err := setImage(ctx, client, t.svc, fixtures.Image(t.svc)); err != nil {
			say("the pods of %s/%s still run another image: %v", t.svc.Namespace, t.svc.Name, err)
		}
	}
	c.added, c.turned = nil, nil
}
