package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// afterwards is how long the traffic goes on once a fault is over: that is when
// everything that was held up is made up for.
const afterwards = 15 * time.Second

// apiOutage stops the API server. What runs goes on: the lookups must, too.
func apiOutage(ctx context.Context, e *Env) error {
	if e.Faults == nil {
		return noFaults("the API server can't be stopped")
	}
	e.Say("stopping the API server for %s", e.Outage)
	if err := e.Faults.StopAPIServer(); err != nil {
		return err
	}
	err := Pause(ctx, e.Outage)
	// Also after an interruption: the cluster must be able to end.
	startCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
	defer cancel()
	if startErr := e.Faults.StartAPIServer(startCtx); startErr != nil {
		return errors.Join(err, startErr)
	}
	if err != nil {
		return err
	}
	e.Say("the API server is back")
	if err := Pause(ctx, afterwards); err != nil {
		return err
	}
	return e.Target.Wait(ctx, e.ReadyTimeout, true)
}

// kubeletKill kills the kubelet of the node with most of the pods.
func kubeletKill(ctx context.Context, e *Env) error {
	if e.Faults == nil {
		return noFaults("a kubelet can't be killed")
	}
	node, _, _, err := e.busiestNode(ctx)
	if err != nil {
		return err
	}
	e.Say("killing the kubelet of %s for %s", node, e.Outage)
	if err := e.Faults.KillKubelet(node); err != nil {
		return err
	}
	err = Pause(ctx, e.Outage)
	if startErr := e.Faults.StartKubelet(node); startErr != nil {
		return errors.Join(err, startErr)
	}
	if err != nil {
		return err
	}
	e.Say("the kubelet is back")
	if err := Pause(ctx, afterwards); err != nil {
		return err
	}
	return e.Target.Wait(ctx, e.ReadyTimeout, true)
}

func noFaults(what string) error {
	return fmt.Errorf("%s in this cluster; use the simulated one (--cluster=sim)", what)
}
