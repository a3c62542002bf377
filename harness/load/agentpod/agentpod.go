// Package agentpod starts the pod in which harness/cmd/loadagent runs: as the load
// generator of a run, or as the relay through which a driver reaches the cluster's
// network. It is a bare pod, without a controller, so that nothing replaces or moves it
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

// Image is the name of the image that the harness makes itself.
const Image = "toolset-verification/load-agent:devel"

// Port is where the program listens, unless Options.Port is set.
const Port = 9000

const (
	// startTimeout bounds the start of the pod; it may have to pull its image.
	startTimeout = 90 * time.Second
	callTimeout  = 10 * time.Second
	user         = 65532
)

// ImageOf describes the image of a program, for the drivers that make it.
func ImageOf(program string) cluster.Image {
	return cluster.Image{Name: Image, Files: map[string]string{"/loadagent": program}, Entrypoint: []string{"/loadagent"}, User: user}
}

// Options describe the pod.
type Options struct {
	Client    kubernetes.Interface
	Namespace string // created if it does not exist
	Name      string // prefix of the pod's name
	Image     string
	Port      int               // 0: Port
	Edit      func(*corev1.Pod) // changes the pod before it is created; may be nil
	// Dial connects to the pod, to find out whether it answers.
	Dial func(ctx context.Context, pod *corev1.Pod) (net.Conn, error)
}

// Pod is a running pod whose program answers.
type Pod struct {
	client kubernetes.Interface
	*corev1.Pod
	Address string // its IP in the cluster, with the port
}

// Start creates the pod and returns when it answers. After an error it deletes the pod,
// but not the namespace.
func Start(ctx context.Context, o Options) (*Pod, error) {
	if o.Port == 0 {
		o.Port = Port
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := o.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsForbidden(err) { // a user who may not create namespaces may have this one
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

// create creates the pod. Pods are refused in a new namespace until its ServiceAccount
// exists, a moment later.
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

// missesServiceAccount reports whether a pod was refused for a reason that passes;
// others, such as a quota or Pod Security, don't.
func missesServiceAccount(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "error looking up service account")
}

// pod returns the pod to create. It complies with the restricted Pod Security Standard,
// which the namespace may enforce.
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

// waitsFor returns why a pod has not started yet, and whether it is hopeless to wait.
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

// hopelessReasons are those of the kubelet that won't pass in time: it waits longer and
// longer before it pulls an image again, for example.
var hopelessReasons = []string{"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}

// Remove deletes the pod without a grace period.
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
