// Package rollout waits for a Deployment, and explains why it does not become ready: an
// image that can't be pulled, for example, or a container that crashes, with its last
// log lines.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	pollInterval = 200 * time.Millisecond
	callTimeout  = 5 * time.Second
	// hopelessAfter is how long a container may stay in a state from which it seldom
	// recovers.
	hopelessAfter = 4 * time.Second
	// maxCrashes is the number of restarts that makes a crash loop.
	maxCrashes = 2
)

// Deployment names a Deployment in a cluster.
type Deployment struct {
	Client          kubernetes.Interface
	Namespace, Name string
}

// Get reads the Deployment.
func (d *Deployment) Get(ctx context.Context) (*appsv1.Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return d.Client.AppsV1().Deployments(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
}

// NotReadyError says that a Deployment did not become ready, and why, with the last log
// lines of its pods.
type NotReadyError struct {
	Deployment string
	Why        string
	Logs       string // may be empty
}

func (e *NotReadyError) Error() string {
	text := fmt.Sprintf("the Deployment %s does not become ready: %s", e.Deployment, e.Why)
	if e.Logs != "" {
		text += "\n" + e.Logs
	}
	return text
}

// State reads the Deployment and all pods that its selector matches, with the
// terminating ones.
func (d *Deployment) State(ctx context.Context) (*appsv1.Deployment, []corev1.Pod, error) {
	dep, err := d.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(dep.Spec.Selector)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := d.Client.CoreV1().Pods(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, nil, err
	}
	return dep, list.Items, nil
}

// Wait returns when all replicas have the current template and are available. If
// settled is set, it also waits until all other pods are gone, with the terminating
// ones. It returns a NotReadyError after timeout, or at once if there is no hope.
func (d *Deployment) Wait(ctx context.Context, timeout time.Duration, settled bool) error {
	deadline := time.Now().Add(timeout)
	since := map[string]time.Time{} // when a hopeless state began, by pod and container
	last := "the API server was not reached"
	for {
		dep, pods, err := d.State(ctx)
		switch {
		case err == nil:
			var done bool
			if done, last = progress(dep, pods, settled); done {
				return nil
			}
			if why := hopeless(dep, pods, since); why != "" {
				return d.notReady(ctx, why)
			}
		case ctx.Err() == nil:
			last = err.Error()
		}
		if time.Now().After(deadline) {
			return d.notReady(ctx, fmt.Sprintf("not within %s: %s", timeout, last))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}

// progress reports whether the rollout is complete, in the sense of kubectl rollout
// status.
func progress(dep *appsv1.Deployment, pods []corev1.Pod, settled bool) (done bool, text string) {
	want := int32(1)
	if dep.Spec.Replicas != nil {
		want = *dep.Spec.Replicas
	}
	s := dep.Status
	text = fmt.Sprintf("%d of %d replicas are new, %d available", s.UpdatedReplicas, want, s.AvailableReplicas)
	if s.ObservedGeneration < dep.Generation || s.UpdatedReplicas < want || s.Replicas > s.UpdatedReplicas || s.AvailableReplicas < want {
		return false, text
	}
	if !settled {
		return true, text
	}
	return len(pods) == int(want), fmt.Sprintf("%s, %d pods in all", text, len(pods))
}

// PodReady reports whether the pod's condition Ready is true.
func PodReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// hopeless returns why the pods will not become ready, or "".
func hopeless(dep *appsv1.Deployment, pods []corev1.Pod, since map[string]time.Time) string {
	for i := range pods {
		for _, c := range pods[i].Status.ContainerStatuses {
			if c.RestartCount >= maxCrashes && c.LastTerminationState.Terminated != nil && pods[i].DeletionTimestamp == nil {
				t := c.LastTerminationState.Terminated
				return fmt.Sprintf("the container %s of pod %s crashes: it ended %d times, last with exit code %d (%s)",
					c.Name, pods[i].Name, c.RestartCount, t.ExitCode, t.Reason)
			}
			w := c.State.Waiting
			if w == nil || !hopelessReason(w.Reason) {
				continue
			}
			key := pods[i].Name + " " + c.Name
			if since[key].IsZero() {
				since[key] = time.Now()
			}
			if time.Since(since[key]) > hopelessAfter {
				return fmt.Sprintf("the container %s of pod %s can't start: %s: %s", c.Name, pods[i].Name, w.Reason, w.Message)
			}
		}
	}
	return failed(dep)
}

func hopelessReason(reason string) bool {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
		"CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return true
	}
	return false
}

// failed returns what the Deployment's status gives as a reason, such as that admission
// or a quota refuses its pods.
func failed(dep *appsv1.Deployment) string {
	for _, c := range dep.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}

func (d *Deployment) notReady(ctx context.Context, why string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &NotReadyError{Deployment: d.Namespace + "/" + d.Name, Why: why, Logs: d.logs(ctx)}
}

// IsNotReady reports whether err is a NotReadyError.
func IsNotReady(err error) bool {
	var e *NotReadyError
	return errors.As(err, &e)
}
