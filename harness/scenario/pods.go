package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/harness/rollout"
)

// callTimeout bounds one call to the API server.
const callTimeout = 10 * time.Second

// RestartedAt is the annotation that kubectl rollout restart sets.
const RestartedAt = "kubectl.kubernetes.io/restartedAt"

// restart does what kubectl rollout restart does, and waits as kubectl rollout status
// does.
func restart(ctx context.Context, e *Env) error {
	at := time.Now().Format(time.RFC3339Nano)
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{RestartedAt: at}},
	}}})
	if err != nil {
		return err
	}
	if e.Restarting != nil {
		e.Restarting(at)
	}
	return e.restart(ctx, &e.Target, patch)
}

// restartVia restarts the proxy before the target.
func restartVia(ctx context.Context, e *Env) error {
	if e.Via == nil {
		return errors.New("there is no proxy to restart")
	}
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, RestartedAt, time.Now().Format(time.RFC3339Nano))
	if err := e.restart(ctx, e.Via, patch); err != nil {
		return err
	}
	return e.Via.Wait(ctx, e.ReadyTimeout, true) // what is done next must not meet its old pods
}

func (e *Env) restart(ctx context.Context, w *rollout.Workload, patch []byte) error {
	if err := w.Patch(ctx, patch); err != nil {
		return fmt.Errorf("restart the %s: %w", w, err)
	}
	return w.Wait(ctx, e.ReadyTimeout, false)
}

// scale scales down to one replica, and up again.
func scale(ctx context.Context, e *Env) error {
	state, err := e.Target.Get(ctx)
	if err != nil {
		return err
	}
	before := state.Replicas
	if before < 2 {
		return fmt.Errorf("the %s has %d replicas; scaling down needs at least 2", &e.Target, before)
	}
	for _, n := range []int32{1, before} {
		e.Say("scaling to %d", n)
		if err := e.Target.Patch(ctx, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n)); err != nil {
			return fmt.Errorf("scale to %d: %w", n, err)
		}
		// Wait until the pods are gone: they may receive requests until then.
		if err := e.Target.Wait(ctx, e.ReadyTimeout, true); err != nil {
			return err
		}
	}
	return nil
}

// deletePods deletes each pod that is there now, and waits for its replacement before
// it deletes the next.
func deletePods(ctx context.Context, e *Env) error {
	pods, _, err := e.pods(ctx)
	if err != nil {
		return err
	}
	for i := range pods {
		e.Say("deleting pod %s", pods[i].Name)
		if err := e.deletePod(ctx, pods[i].Name, metav1.DeleteOptions{}); err != nil {
			return err
		}
		if err := e.waitReplaced(ctx, pods[i].UID); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) deletePod(ctx context.Context, name string, o metav1.DeleteOptions) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := e.Client.CoreV1().Pods(e.Target.Namespace).Delete(ctx, name, o); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete pod %s: %w", name, err)
	}
	return nil
}

// waitReplaced waits until the target has all its replicas ready without this pod.
func (e *Env) waitReplaced(ctx context.Context, uid types.UID) error {
	deadline := time.Now().Add(e.ReadyTimeout)
	for {
		pods, state, err := e.pods(ctx)
		if err == nil {
			ready := 0
			for i := range pods {
				if pods[i].UID != uid && pods[i].DeletionTimestamp == nil && rollout.PodReady(&pods[i]) {
					ready++
				}
			}
			if ready >= int(state.Replicas) {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return e.Target.Wait(ctx, 0, false) // for its error, which says why
		}
		if err := Pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// spot does what a cloud does to a spot node: its pods get a notice, and little time.
// Whatever their own grace period is, that of the notice counts
// (https://docs.cloud.google.com/kubernetes-engine/docs/concepts/spot-vms#graceful-shutdown: 15 s).
func spot(ctx context.Context, e *Env) error {
	return e.clear(ctx, "taking away", func(ctx context.Context, node string, pods []corev1.Pod) error {
		seconds := int64(e.GraceCap / time.Second)
		for i := range pods {
			if pods[i].Spec.NodeName != node {
				continue
			}
			grace := seconds
			if own := pods[i].Spec.TerminationGracePeriodSeconds; own != nil {
				grace = min(grace, *own)
			}
			if err := e.deletePod(ctx, pods[i].Name, metav1.DeleteOptions{GracePeriodSeconds: &grace}); err != nil {
				return err
			}
		}
		return e.Target.Wait(ctx, e.ReadyTimeout, true)
	})
}

// drain does what kubectl drain does, but evicts only the target's pods.
func drain(ctx context.Context, e *Env) error { return e.clear(ctx, "draining", e.evictFrom) }

// clear cordons the node with most of the target's pods, takes them from it, and uncordons
// it.
func (e *Env) clear(ctx context.Context, what string, take func(context.Context, string, []corev1.Pod) error) error {
	node, count, pods, err := e.busiestNode(ctx)
	if err != nil {
		return err
	}
	nodes, err := e.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(nodes.Items) < 2 {
		return fmt.Errorf("the cluster has only one node; %s it leaves the pods nowhere to go", what)
	}
	e.Say("%s %s, which has %d pods of the target", what, node, count[node])
	if err := e.cordon(ctx, node, true); err != nil {
		return err
	}
	err = take(ctx, node, pods)
	// Whether that failed or not, the node must become usable again.
	uncordonCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if uncordonErr := e.cordon(uncordonCtx, node, false); err == nil {
		err = uncordonErr
	}
	return err
}

// busiestNode returns the node that has most of the target's pods. count is by node.
func (e *Env) busiestNode(ctx context.Context) (node string, count map[string]int, pods []corev1.Pod, err error) {
	if pods, _, err = e.pods(ctx); err != nil {
		return "", nil, nil, err
	}
	count = map[string]int{}
	for i := range pods {
		n := pods[i].Spec.NodeName
		if count[n]++; count[n] > count[node] {
			node = n
		}
	}
	if node == "" {
		return "", nil, nil, fmt.Errorf("the %s has no pods", &e.Target)
	}
	return node, count, pods, nil
}

func (e *Env) cordon(ctx context.Context, node string, on bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.Client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, on), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("cordon or uncordon node %s: %w", node, err)
	}
	return nil
}

// evictFrom evicts the pods of a node through the Eviction API, which respects
// PodDisruptionBudgets: it answers 429 while no more pod may go.
func (e *Env) evictFrom(ctx context.Context, node string, pods []corev1.Pod) error {
	deadline := time.Now().Add(e.ReadyTimeout)
	for i := range pods {
		p := &pods[i]
		if p.Spec.NodeName != node {
			continue
		}
		for {
			callCtx, cancel := context.WithTimeout(ctx, callTimeout)
			err := e.Client.PolicyV1().Evictions(p.Namespace).Evict(callCtx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}})
			cancel()
			if err == nil || apierrors.IsNotFound(err) {
				break
			}
			if !apierrors.IsTooManyRequests(err) || time.Now().After(deadline) {
				return fmt.Errorf("evict pod %s: %w", p.Name, err)
			}
			if err := Pause(ctx, 500*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return e.Target.Wait(ctx, e.ReadyTimeout, true)
}

// pods returns the target's pods that are not being deleted.
func (e *Env) pods(ctx context.Context) ([]corev1.Pod, *rollout.State, error) {
	state, all, err := e.Target.State(ctx)
	return slices.DeleteFunc(all, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), state, err
}
