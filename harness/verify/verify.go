package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/load/agent"
	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/observe"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// maxRequests bounds the memory of a run: a request needs 304 bytes, as its texts are
// shared with others.
const maxRequests = 10_000_000

// explainTimeout bounds the search for the reason why a target is no longer ready.
const explainTimeout = 30 * time.Second

// stopTimeout bounds the end of the load. It is more than the longest slow request and
// its timeout.
const stopTimeout = time.Minute

// Run verifies one target in a running cluster. The result has its checks. An error
// means that there is no verdict: the target or the cluster could not be brought into a
// state that can be judged, or ctx has ended. If the load had begun, it is an Incomplete.
func Run(ctx context.Context, c cluster.Cluster, o Options) (*record.Run, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		return nil, err
	}
	v := &verification{Options: o, cluster: c, client: client}
	v.run.Command, v.run.Version, v.run.Scenario = o.Command, o.Version, o.Scenario
	// A slice that grows to this length would need twice as much for a moment.
	v.run.Requests = make([]record.Request, 0, o.Requests+o.Requests/10)
	if err := v.prepare(ctx); err != nil {
		return nil, errors.Join(err, v.cleanup())
	}
	if err = v.verify(ctx); err != nil {
		err = v.incomplete(err)
	}
	if err = errors.Join(err, v.cleanup()); err != nil {
		return nil, err
	}
	return &v.run, nil
}

// A verification is one run in progress.
type verification struct {
	Options
	cluster cluster.Cluster
	client  kubernetes.Interface
	target  *target
	applier *manifest.Applier
	applied []manifest.Object
	agent   *agentpod.Pod
	nodes   nodeView
	via     *viaPath // nil: there is no proxy in the path
	rules   verdict.Rules

	overspent context.CancelCauseFunc // ends the steps early; nil before they begin

	mu         sync.Mutex // guards run.Requests, run.Phases, the counts, overflow and restarts
	restarts   []string   // the annotations of those that were made here
	run        record.Run
	texts      record.Texts
	sent, lost int
	overflow   bool
}

// verify observes the pods, sends the load, runs the steps and judges.
func (v *verification) verify(ctx context.Context) error {
	t := v.target
	readiness, readinessPort := t.probe(v.ReadinessPath, t.container.ReadinessProbe)
	liveness, livenessPort := t.probe(v.LivenessPath, t.container.LivenessProbe)
	v.rules = verdict.Rules{
		Readiness: readiness != "", Liveness: liveness != "", Problems: v.Problems, Milestones: v.Milestones, Strict: v.Strict,
		MaxLatencyFactor: v.MaxLatencyFactor, Classes: v.Traffic.classes(),
		PreStop:         t.container.Lifecycle != nil && t.container.Lifecycle.PreStop != nil,
		Terminations:    slices.ContainsFunc(v.Steps, func(s scenario.Step) bool { return s.Terminations }),
		ViaTerminations: slices.ContainsFunc(v.Steps, func(s scenario.Step) bool { return s.Via }),
	}
	observer, err := observe.Start(ctx, observe.Options{
		Client: v.client, Namespace: t.workload.namespace, Selector: t.selector, Service: t.service.Name, Container: t.container.Name,
		Dial: v.cluster.DialContext, ReadinessPath: readiness, ReadinessPort: readinessPort, LivenessPath: liveness, LivenessPort: livenessPort, Port: t.podPort(),
		Milestones: v.Milestones, Signal: v.Signal,
	})
	if err != nil {
		return err
	}
	stopped := false
	defer func() {
		if !stopped {
			observer.Stop()
		}
	}()
	if err := v.observeVia(ctx); err != nil {
		return err
	}
	defer v.stopVia()
	host := v.Traffic.Host
	if host == "" {
		host = fmt.Sprintf("%s.%s.svc", t.service.Name, t.service.Namespace)
	}
	config := v.Traffic.config(v.loadAddress(), host, v.Problems)
	if p := &v.Traffic.Protocol; p.TLS != nil || config.Protocol != "" && config.Protocol != record.HTTP1 {
		v.run.Notes = append(v.run.Notes, "The clients spoke "+p.spoken()+".")
	}
	if err := v.awaitRoute(ctx, config); err != nil {
		// If the target is not ready any more, that is the better explanation.
		d := t.rollout(v.client)
		if notReady := d.Wait(ctx, explainTimeout, false); rollout.IsNotReady(notReady) {
			return notReady
		}
		return err
	}
	v.run.Began = time.Now()
	session, err := agent.Start(ctx, v.cluster.DialContext, v.agent.Address, config, v.emit)
	if err != nil {
		return err
	}
	summary, err := v.underLoad(ctx, session, observer)
	if err != nil {
		return err
	}
	v.run.Ended = time.Now()
	observer.Stop()
	stopped = true
	v.run.Load = summary.Clients
	// The phases have no gaps: the first begins with the load, the last ends with it.
	v.run.Phases[0].Began, v.run.Phases[len(v.run.Phases)-1].Ended = v.run.Began, v.run.Ended
	v.run.Pods, v.run.Events = observer.Pods(), observer.Events()
	v.run.Notes = append(v.run.Notes, observer.Notes()...)
	if v.overflow {
		return fmt.Errorf("the run was too long: more than %d requests", maxRequests)
	}
	v.stopVia()
	v.attribute()
	v.notePorts()
	v.run.Target.Server = signature(summary.Clients)
	v.run.Checks = verdict.Judge(&v.run, v.rules)
	v.run.Causes = cause.Find(&v.run)
	return nil
}

// underLoad runs the phases under load, and then ends the load.
func (v *verification) underLoad(ctx context.Context, session *agent.Session, observer *observe.Observer) (load.Summary, error) {
	steps, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-session.Done():
			cancel(fmt.Errorf("the load ended before its time: %w", session.Err()))
		case <-steps.Done():
		}
	})
	watching.Go(func() { v.live(steps, observer) })
	if v.InPlace != nil {
		g, err := newGuard(ctx, v.target.rollout(v.client))
		if err != nil {
			return load.Summary{}, err
		}
		watching.Go(func() {
			if err := g.watch(steps, v.restarted); err != nil {
				cancel(err)
			}
		})
	}
	v.mu.Lock()
	v.overspent = cancel
	v.mu.Unlock()
	err := v.phases(steps)
	if cause := context.Cause(steps); err != nil && ctx.Err() == nil && cause != nil {
		err = cause // not that a call was canceled
	}
	if errors.Is(err, errOverspent) {
		v.run.Notes = append(v.run.Notes, fmt.Sprintf("The run ended early, as more than %d requests were lost (--max-lost). The rollout that had begun was left to the cluster.", v.MaxLost))
		err = nil
	}
	cancel(nil)
	watching.Wait()
	stopCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer stop()
	summary, stopErr := session.Stop(stopCtx)
	if err != nil {
		return summary, err
	}
	return summary, stopErr
}

// phases runs the baseline, the steps, and a last phase until all terminating pods are
// gone.
func (v *verification) phases(ctx context.Context) error {
	env := &scenario.Env{Client: v.client, Target: v.target.rollout(v.client), ReadyTimeout: v.ReadyTimeout, Outage: v.Outage, GraceCap: v.GraceCap, Say: v.Say}
	if v.via != nil {
		w := v.via.target.rollout(v.client)
		env.Via = &w
	}
	env.Restarting = func(at string) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.restarts = append(v.restarts, at)
	}
	env.Faults, _ = v.cluster.(cluster.Faults)
	v.Say("baseline: %s of traffic, %g requests/s", v.Baseline, v.Traffic.Rate)
	if err := v.phase("baseline", record.Baseline, func() error { return scenario.Pause(ctx, v.Baseline) }); err != nil {
		return err
	}
	steps := slices.Clone(v.Steps)
	for i := 0; i < len(steps) || v.count() < v.Requests; i++ {
		if i == len(steps) {
			steps = append(steps, scenario.Another(steps))
		}
		step := steps[i]
		v.Say("%s", step.Name)
		if err := v.phase(step.Name, record.Action, func() error { return step.Run(ctx, env) }); err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	v.Say("waiting for the last pods to end")
	return v.phase("settle", record.Settle, func() error {
		if err := env.Target.Wait(ctx, v.ReadyTimeout+v.grace(), true); err != nil {
			return err
		}
		if env.Via != nil {
			if err := env.Via.Wait(ctx, v.ReadyTimeout+graceOf(&v.via.target.workload), true); err != nil {
				return err
			}
		}
		return scenario.Pause(ctx, time.Second)
	})
}

// grace returns the pods' grace period.
func (v *verification) grace() time.Duration { return graceOf(&v.target.workload) }

func graceOf(w *workload) time.Duration {
	if s := w.Template.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 30 * time.Second
}

func (v *verification) phase(name string, kind record.PhaseKind, do func() error) error {
	v.mu.Lock()
	v.run.Phases = append(v.run.Phases, record.Phase{Name: name, Kind: kind, Began: time.Now()})
	i := len(v.run.Phases) - 1
	v.mu.Unlock()
	err := do()
	v.mu.Lock()
	v.run.Phases[i].Ended = time.Now()
	v.mu.Unlock()
	return err
}

// emit records one request.
func (v *verification) emit(r record.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.run.Requests) >= maxRequests {
		v.overflow = true
		return
	}
	v.texts.Share(&r)
	v.run.Requests = append(v.run.Requests, r)
	v.sent++
	if r.Failed() {
		v.lost++
		if v.MaxLost > 0 && v.lost > v.MaxLost && v.overspent != nil {
			v.overspent(errOverspent)
		}
	}
}

// count returns how many requests have ended.
func (v *verification) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sent
}

// errOverspent ends a run in which more requests were lost than the user allows.
var errOverspent = errors.New("more requests were lost than allowed")

// restarted returns the annotations of the restarts that were made here.
func (v *verification) restarted() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.restarts)
}

// live calls v.Live four times a second, until ctx is done.
func (v *verification) live(ctx context.Context, observer *observe.Observer) {
	if v.Live == nil {
		return
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ready, stopping := observer.Count()
		v.mu.Lock()
		l := Live{Elapsed: time.Since(v.run.Began), Sent: v.sent, Lost: v.lost, Pods: fmt.Sprintf("%d ready, %d terminating", ready, stopping)}
		if n := len(v.run.Phases); n > 0 {
			l.Phase = v.run.Phases[n-1].Name
		}
		v.mu.Unlock()
		v.Live(l)
	}
}

// cleanup deletes what the run has put into the cluster. Its error is an ErrLeft.
func (v *verification) cleanup() error {
	var errs []error
	errs = append(errs, v.nodes.close())
	if v.via != nil {
		for i := range v.via.views {
			errs = append(errs, v.via.views[i].close())
		}
	}
	if v.agent != nil {
		errs = append(errs, v.agent.Remove())
	}
	if v.Cleanup && v.applier != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		errs = append(errs, v.applier.Delete(ctx, v.applied))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrLeft, err)
	}
	return nil
}
