// Package agentpod is the pod in which the load generator's program runs, inside
// the cluster: as the load generator of a run, or as the relay by which a driver
// reaches the cluster's network. It is a bare pod: nothing may replace or move it
// during a run.
package agentpod

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/cluster"
)

// Image is the name of the image where the harness makes it itself.
const Image = "toolset-verification/load-agent:devel"

// Port is where the program listens, unless Options.Port says otherwise.
const Port = 9000

const (
	// startTimeout bounds the start of the pod; a cluster that pulls its image
	// takes a while.
	startTimeout = 90 * time.Second
	callTimeout  = 10 * time.Second
	user         = 65532
)

// ImageOf is the image of a program, for drivers that make it.
func ImageOf(program string) cluster.Image {
	return cluster.Image{Name: Image, Files: map[string]string{"/loadagent": program}, Entrypoint: []string{"/loadagent"}, User: user}
}

// Options say how the pod should be.
type Options struct {
	Client    kubernetes.Interface
	Namespace string // it is made if it is not there
	Name      string // the pod's begins so
	Image     string
	Port      int               // 0: Port
	Edit      func(*corev1.Pod) // changes the pod before it is made; nil: nothing
	// Dial connects to the pod, to see whether it answers.
	Dial func(ctx context.Context, pod *corev1.Pod) (net.Conn, error)
}

// Pod is a pod that answers.
type Pod struct {
	client kubernetes.Interface
	*corev1.Pod
	Address string // in the cluster, with the port
}

// Start makes the pod and returns when it answers. After an error nothing of it
// is left but the namespace.
func Start(ctx context.Context, o Options) (*Pod, error) {
	if o.Port == 0 {
		o.Port = Port
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := o.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsForbidden(err) { // it may be there, and ours, without the right to make any
		return nil, fmt.Errorf("create the namespace %s: %w", o.Namespace, err)
	}
	made, err := create(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("create the pod %s-: %w", o.Name, err)
	}
	p := &Pod{client: o.Client, Pod: made}
	if err := p.wait(ctx, &o); err != nil {
		return nil, errors.Join(fmt.Errorf("the pod %s (%s) did not start: %w", made.Name, o.Image, err), p.Remove())
	}
	return p, nil
}

// create makes the pod. A new namespace has its ServiceAccount a moment later;
// without it pods are refused.
func create(ctx context.Context, o *Options) (*corev1.Pod, error) {
	want := pod(o)
	for {
		made, err := o.Client.CoreV1().Pods(o.Namespace).Create(ctx, want, metav1.CreateOptions{})
		if err == nil || !missesServiceAccount(err) {
			return made, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// missesServiceAccount tells the refusal that ends by itself from those that
// don't, such as by a quota or by Pod Security.
func missesServiceAccount(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "error looking up service account")
}

// pod is the pod as it is asked for. It keeps to the restricted Pod Security
// Standard, as a namespace may enforce it.
func pod(o *Options) *corev1.Pod {
	no, yes, seconds, id := false, true, int64(1), int64(user)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: o.Name + "-", Namespace: o.Namespace,
			Labels: map[string]string{"app.kubernetes.io/name": o.Name, "app.kubernetes.io/part-of": "toolset-verification"},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			TerminationGracePeriodSeconds: &seconds,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &id, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "load", Image: o.Image, ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{"--listen=:" + strconv.Itoa(o.Port)},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if o.Edit != nil {
		o.Edit(p)
	}
	return p
}

// wait waits until the pod answers.
func (p *Pod) wait(ctx context.Context, o *Options) error {
	probe := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dial(ctx, p.Pod) },
	}}
	last := errors.New("it was not scheduled")
	for {
		now, err := p.client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		switch {
		case err != nil:
			if ctx.Err() == nil {
				last = err
			}
		case now.Status.Phase == corev1.PodFailed || now.Status.Phase == corev1.PodSucceeded:
			return fmt.Errorf("it has ended: %s %s", now.Status.Reason, now.Status.Message)
		case now.Status.Phase == corev1.PodRunning && now.Status.PodIP != "":
			p.Pod = now
			p.Address = net.JoinHostPort(now.Status.PodIP, strconv.Itoa(o.Port))
			resp, err := probe.Get("http://" + p.Address + "/healthz")
			if err == nil {
				_ = resp.Body.Close()
				return nil
			}
			last = err
		default:
			why, hopeless := waitsFor(now)
			if hopeless {
				return why
			}
			if why != nil {
				last = why
			}
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// waitsFor is why a pod has not started yet, and whether waiting won't help.
func waitsFor(p *corev1.Pod) (why error, hopeless bool) {
	for i := range p.Status.ContainerStatuses {
		if w := p.Status.ContainerStatuses[i].State.Waiting; w != nil {
			return fmt.Errorf("%s: %s", w.Reason, w.Message), slices.Contains(hopelessReasons, w.Reason)
		}
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Status == corev1.ConditionFalse && c.Message != "" {
			return fmt.Errorf("%s: %s", c.Reason, c.Message), false
		}
	}
	return nil, false
}

// hopelessReasons are those of the kubelet that don't pass within the time that
// there is; it pulls an image again only after a growing pause.
var hopelessReasons = []string{"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}

// Remove deletes the pod, at once.
func (p *Pod) Remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	zero := int64(0)
	err := p.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
