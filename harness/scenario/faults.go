package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// afterwards is how long the traffic goes on after a fault, while everything that was
// held up is made up for.
const afterwards = 15 * time.Second

// apiOutage stops the API server for a while. Lookups must go on.
func apiOutage(ctx context.Context, e *Env) error {
	if e.Faults == nil {
		return noFaults("the API server can't be stopped")
	}
	e.Say("stopping the API server for %s", e.Outage)
	return e.outage(ctx, "the API server", e.Faults.StopAPIServer, func() error {
		// Also if ctx is done: the cluster needs its API server to shut down.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
		defer cancel()
		return e.Faults.StartAPIServer(ctx)
	})
}

// kubeletKill kills the kubelet of the node that has most of the pods.
func kubeletKill(ctx context.Context, e *Env) error {
	if e.Faults == nil {
		return noFaults("a kubelet can't be killed")
	}
	node, _, _, err := e.busiestNode(ctx)
	if err != nil {
		return err
	}
	e.Say("killing the kubelet of %s for %s", node, e.Outage)
	return e.outage(ctx, "the kubelet", func() error { return e.Faults.KillKubelet(node) }, func() error { return e.Faults.StartKubelet(node) })
}

// outage stops something and starts it again, even if ctx ends in between. Then it
// waits until the target is well.
func (e *Env) outage(ctx context.Context, what string, stop, start func() error) error {
	if err := stop(); err != nil {
		return err
	}
	if err := errors.Join(Pause(ctx, e.Outage), start()); err != nil {
		return err
	}
	e.Say("%s is back", what)
	if err := Pause(ctx, afterwards); err != nil {
		return err
	}
	return e.Target.Wait(ctx, e.ReadyTimeout, true)
}

func noFaults(what string) error {
	return fmt.Errorf("%s in this cluster; use the simulated one (--cluster=sim)", what)
}
