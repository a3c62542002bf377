// Package rollout waits for the rollout of a Deployment, StatefulSet or DaemonSet, and explains why it does not become ready: an
// image that can't be pulled, for example, or a container that crashes, with its last
// log lines.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// NotReadyError says that a workload did not become ready, and why, with the last log
// lines of its pods.
type NotReadyError struct {
	Workload string // kind, namespace and name
	Why      string
	Logs     string // may be empty
}

func (e *NotReadyError) Error() string {
	text := fmt.Sprintf("the %s does not become ready: %s", e.Workload, e.Why)
	if e.Logs != "" {
		text += "\n" + e.Logs
	}
	return text
}

// State reads the workload and all pods that its selector matches, with the
// terminating ones.
func (w *Workload) State(ctx context.Context) (*State, []corev1.Pod, error) {
	state, err := w.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(state.Selector)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := w.Client.CoreV1().Pods(w.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, nil, err
	}
	return state, list.Items, nil
}

// Wait returns when all replicas have the current template and are available. If
// settled is set, it also waits until all other pods are gone, with the terminating
// ones. It returns a NotReadyError after timeout, or at once if there is no hope.
func (w *Workload) Wait(ctx context.Context, timeout time.Duration, settled bool) error {
	deadline := time.Now().Add(timeout)
	since := map[string]time.Time{} // when a hopeless state began, by pod and container
	last := "the API server was not reached"
	for {
		state, pods, err := w.State(ctx)
		switch {
		case err == nil:
			var done bool
			if done, last = state.progress(pods, settled); done {
				return nil
			}
			if why := hopeless(state, pods, since); why != "" {
				return w.notReady(ctx, why)
			}
		case ctx.Err() == nil:
			last = err.Error()
		}
		if time.Now().After(deadline) {
			return w.notReady(ctx, fmt.Sprintf("not within %s: %s", timeout, last))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
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
func hopeless(state *State, pods []corev1.Pod, since map[string]time.Time) string {
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
	return state.Failed
}

func hopelessReason(reason string) bool {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
		"CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return true
	}
	return false
}

func (w *Workload) notReady(ctx context.Context, why string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &NotReadyError{Workload: w.String(), Why: why, Logs: w.logs(ctx)}
}

// IsNotReady reports whether err is a NotReadyError.
func IsNotReady(err error) bool {
	var e *NotReadyError
	return errors.As(err, &e)
}
