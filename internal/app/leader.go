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

// elect makes the candidate for the lease that says which replica writes. activate
// is told whether this one does.
func (a *App) elect(cfg *rest.Config, activate func(bool)) error {
	// A client of its own, with a connection and a limit on calls of its own: a
	// renewal waits for nothing else.
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

// campaign runs the election, from when there is something to write: a replica that
// can't read the cluster must not keep others from it.
func (a *App) campaign(ctx context.Context) error {
	select {
	case <-a.source.FirstSync():
		return a.leader.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// releaseLease gives the lease away as soon as this replica is told to end, not when
// resources are closed at last: another one has taken over long before that, also
// if this one is killed meanwhile.
func (a *App) releaseLease() {
	if a.leader != nil {
		a.leader.Release()
	}
}

// generate is POST /api/v1/toolsets/generate. A replica that does not lead answers
// with what the leader has written; that there is none for a moment, as when one
// hands over to another, makes no difference. But where a right is missing, what was
// written last is not followed by anything newer.
func (a *App) generate(ctx context.Context) (version string, err error) {
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

// A notWritten says why there is nothing that the leader has written.
type notWritten struct {
	cause error
	text  string // fit for clients
}

func (e notWritten) Error() string  { return e.text }
func (e notWritten) Public() string { return e.text }
func (e notWritten) Unwrap() error  { return e.cause }
