package app

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/cluster/leader"
)

// elect builds the candidate for the lease that decides which replica writes. activate is
// called with whether this one does.
func (a *App) elect(cfg *rest.Config, activate func(bool)) error {
	// This client has its own connection and its own rate limit, so that renewals wait
	// for nothing else.
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	terms := a.set.NewCounter("toolset_leader_transitions_total")
	a.leader = leader.New(client, a.settings.ConfigMap.Namespace, a.settings.ConfigMap.Lease, leader.Identity(), leader.Options{
		Logger: a.log,
		OnLead: func(leading bool) {
			if leading {
				terms.Inc()
			}
			activate(leading)
		},
		OnForbidden: a.countForbidden,
	})
	a.set.NewGauge("toolset_leader", func() float64 {
		if a.leader.Leads() {
			return 1
		}
		return 0
	})
	return nil
}

// campaign runs the election once there is something to write. A replica that can't read
// the cluster, or knows less of it than another, must not keep others from writing.
func (a *App) campaign(ctx context.Context) error {
	select {
	case <-a.settled.opened:
		return a.leader.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// releaseLease gives up the lease as soon as this replica is told to stop, and not only
// when components are closed. So another replica has taken over long before that, even if
// this one is killed meanwhile.
func (a *App) releaseLease() {
	if a.leader != nil {
		a.leader.Release()
	}
}

// generate implements POST /api/v1/toolsets/generate. A replica that is not the leader
// returns the version that the leader has written. During a handover there may be no
// leader for a moment; that makes no difference. But if a right is missing, nobody will
// write anything newer, and generate returns an error.
func (a *App) generate(ctx context.Context) (version string, err error) {
	if a.leader == nil {
		a.settled.open() // somebody wants it now
	}
	version, err = a.writer.WriteNow(ctx)
	if a.leader == nil || a.leader.Leads() {
		return version, err
	}
	if err == nil {
		if right, missing := errors.AsType[*cluster.MissingRight](a.leader.Vacant()); missing {
			return "", right
		}
		return version, nil
	}
	if !errors.Is(err, configmap.ErrStandby) {
		return "", err
	}
	if why := a.leader.Vacant(); why != nil {
		return "", notWritten{err, err.Error() + "; " + why.Error()}
	}
	return "", notWritten{err, fmt.Sprintf("%v; the leader is %s", err, a.leader.Holder())}
}

// A notWritten says why the leader has written nothing.
type notWritten struct {
	cause error
	text  string // may be shown to clients
}

func (e notWritten) Error() string  { return e.text }
func (e notWritten) Public() string { return e.text }
func (e notWritten) Unwrap() error  { return e.cause }
