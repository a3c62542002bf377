package observe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/rollout"
)

// podChanged records the state of a pod object, and starts to read the pod's log and to
// probe it when it is time.
func (o *Observer) podChanged(p *corev1.Pod, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.pods[string(p.UID)]
	if known == nil {
		if len(o.order) >= maxPods {
			return
		}
		known = &pod{uid: string(p.UID)}
		known.Name, known.Created = p.Name, p.CreationTimestamp.Time
		known.Revision = p.Labels["pod-template-hash"]
		o.pods[known.uid] = known
		o.order = append(o.order, known.uid)
	}
	known.Node = p.Spec.NodeName
	if p.Status.PodIP != "" { // a pod that has ended may lose it
		known.IP = p.Status.PodIP
	}
	known.PreStop = o.preStop(p)
	if known.Ready.IsZero() && rollout.PodReady(p) {
		known.Ready = now
	}
	o.containerChanged(known, p, now)
	if p.DeletionTimestamp != nil && known.Deleted.IsZero() {
		known.Deleted = now
		if p.DeletionGracePeriodSeconds != nil {
			known.Grace = time.Duration(*p.DeletionGracePeriodSeconds) * time.Second
		}
		o.checkEndpoint(known, now)
		if known.Exited.IsZero() && known.IP != "" {
			o.startProbes(known)
		}
	}
}

// preStop describes the hook of the target's container; nil if it has none.
func (o *Observer) preStop(p *corev1.Pod) *record.PreStop {
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		if o.opts.Container != "" && c.Name != o.opts.Container {
			continue
		}
		if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
			return nil
		}
		hook := &record.PreStop{}
		switch h := c.Lifecycle.PreStop; {
		case h.Sleep != nil:
			hook.Sleep = time.Duration(h.Sleep.Seconds) * time.Second
		case h.Exec != nil:
			hook.Sleep = SleepOf(h.Exec.Command)
		}
		return hook
	}
	return nil
}

// SleepOf returns how long a command sleeps that does nothing else, such as "sleep 5" in
// a shell or without; 0 if it is another.
func SleepOf(command []string) time.Duration {
	if len(command) == 3 && (strings.HasSuffix(command[0], "sh")) && command[1] == "-c" {
		command = strings.Fields(strings.TrimPrefix(strings.TrimSuffix(strings.TrimSpace(command[2]), ";"), "exec "))
	}
	if len(command) != 2 || path.Base(command[0]) != "sleep" {
		return 0
	}
	text := command[1]
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text) // s, m and h mean the same to sleep(1)
	if err != nil || d < 0 {
		return 0
	}
	return d
}

// containerChanged records restarts and the end of the container, and starts to read
// its log. o.mu must be held.
func (o *Observer) containerChanged(known *pod, p *corev1.Pod, now time.Time) {
	for i := range p.Status.ContainerStatuses {
		c := &p.Status.ContainerStatuses[i]
		if o.opts.Container != "" && c.Name != o.opts.Container {
			continue
		}
		known.Restarts = max(known.Restarts, int(c.RestartCount))
		if (c.State.Running != nil || c.State.Terminated != nil) && known.logging == nil {
			ctx, cancel := context.WithCancel(o.life)
			known.logging = cancel
			o.work.Go(func() {
				defer cancel()
				o.followLog(ctx, known, c.Name)
			})
		}
		if t := c.State.Terminated; t != nil && p.DeletionTimestamp != nil && known.Exited.IsZero() {
			code := int(t.ExitCode)
			known.ExitCode, known.Reason, known.Exited = &code, t.Reason, now
			o.stopProbes(known)
		}
		return
	}
}

// podGone records that a pod is gone. If this was found in a list, not watched, the
// pod's end was not seen. o.mu must be held.
func (o *Observer) podGone(p *pod, now time.Time, watched bool) {
	if !p.Gone.IsZero() {
		return
	}
	p.Gone = now
	if p.Deleted.IsZero() {
		p.Deleted = now
	}
	if !watched && p.ExitCode == nil {
		p.Lost = true
	}
	if p.EndpointGone.IsZero() {
		p.EndpointGone = now
	}
	o.stopProbes(p)
	if p.logging != nil {
		time.AfterFunc(logPatience, p.logging)
	}
}

// logPatience is how long the last log lines of a pod that is gone may be late.
const logPatience = 2 * time.Second

// maxLine bounds a log line, in bytes; the rest is cut off.
const maxLine = 4096

// followLog reads the container's log to its end. The kubelet serves it until the
// container is removed, so the last lines of a pod arrive, too.
func (o *Observer) followLog(ctx context.Context, p *pod, container string) {
	problem := ""
	var since *int64
	for attempt := 0; ; attempt++ {
		began := time.Now()
		stream, err := o.opts.Client.CoreV1().Pods(o.opts.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
			Container: container, Follow: true, Timestamps: true, SinceSeconds: since,
		}).Stream(ctx)
		if err == nil {
			err = o.readLog(p, stream)
		}
		o.mu.Lock()
		over := !p.Exited.IsZero() || !p.Gone.IsZero()
		o.mu.Unlock()
		if ctx.Err() != nil || over || attempt >= 50 {
			if err != nil && !errors.Is(err, context.Canceled) {
				problem = err.Error()
			}
			break
		}
		// The API server or the kubelet was away: continue there.
		seconds := int64(time.Since(began).Seconds()) + 2
		since = &seconds
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
	o.mu.Lock()
	p.LogProblem = problem
	o.mu.Unlock()
}

// readLog records lines until the stream ends.
func (o *Observer) readLog(p *pod, stream io.ReadCloser) error {
	defer stream.Close() //nolint:errcheck // read only
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 0, 16<<10), 1<<20)
	for lines.Scan() {
		stamp, text, found := strings.Cut(lines.Text(), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if !found || err != nil {
			continue // not a line of the log
		}
		if len(text) > maxLine {
			text = text[:maxLine]
		}
		o.logged(p, record.LogLine{At: at, Text: text})
	}
	return lines.Err()
}

// logged records a line, unless it is old: after a broken stream, lines may come again.
func (o *Observer) logged(p *pod, line record.LogLine) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(p.Log); n > 0 && !line.At.After(p.Log[n-1].At) {
		return
	}
	if p.Log = append(p.Log, line); len(p.Log) > logTail {
		p.Log = p.Log[1:]
	}
	if o.opts.Signal != "" && p.Signalled.IsZero() && strings.Contains(line.Text, o.opts.Signal) {
		p.Signalled = line.At
	}
	for _, m := range o.opts.Milestones {
		if strings.Contains(line.Text, m) && len(p.Milestones) < 4*len(o.opts.Milestones) {
			p.Milestones = append(p.Milestones, line)
			return
		}
	}
}
