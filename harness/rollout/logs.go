package rollout

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	logLines  = int64(10)
	maxLogged = 3 // pods whose logs are shown
	maxBytes  = int64(16 << 10)
)

// logs returns the last log lines of pods that are not ready, and the Events about
// them.
func (w *Workload) logs(ctx context.Context) string {
	_, pods, err := w.State(ctx)
	if err != nil {
		return ""
	}
	var text strings.Builder
	shown := 0
	for i := range pods {
		p := &pods[i]
		if PodReady(p) || shown == maxLogged {
			continue
		}
		shown++
		fmt.Fprintf(&text, "--- pod %s on %s, %s\n", p.Name, cmp.Or(p.Spec.NodeName, "no node yet"), p.Status.Phase)
		w.events(ctx, &text, p)
		for _, c := range p.Status.ContainerStatuses {
			// After a crash, the previous container has the interesting lines. While
			// the next one waits to start, either may count as the current one, which
			// is not read then.
			if c.RestartCount > 0 {
				w.tail(ctx, &text, p.Name, c.Name, true)
			}
			if c.RestartCount == 0 || c.State.Waiting == nil {
				w.tail(ctx, &text, p.Name, c.Name, false)
			}
		}
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// events writes the latest warnings about a pod.
func (w *Workload) events(ctx context.Context, text *strings.Builder, p *corev1.Pod) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := w.Client.CoreV1().Events(w.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(p.UID) + ",type=Warning"})
	if err != nil {
		return
	}
	for _, e := range list.Items[max(0, len(list.Items)-3):] {
		fmt.Fprintf(text, "%s: %s\n", e.Reason, strings.TrimSpace(e.Message))
	}
}

func (w *Workload) tail(ctx context.Context, text *strings.Builder, pod, container string, previous bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lines, limit := logLines, maxBytes
	body, err := w.Client.CoreV1().Pods(w.Namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, TailLines: &lines, LimitBytes: &limit, Previous: previous,
	}).DoRaw(ctx)
	switch {
	case err != nil:
		fmt.Fprintf(text, "(the log of container %s can't be read: %v)\n", container, err)
	case len(body) == 0:
		fmt.Fprintf(text, "(container %s has logged nothing)\n", container)
	default:
		when := ""
		if previous {
			when = " before its restart"
		}
		fmt.Fprintf(text, "the last lines of container %s%s:\n%s\n", container, when, strings.TrimRight(string(body), "\n"))
	}
}
