package app

import (
	"context"
	"fmt"
	"time"

	"kubernaut.io/dynamic-toolset/transport"
)

// status returns the state of the service for the HTTP server, which calls it several
// times a second.
func (a *App) status() transport.Status {
	v := a.source.Status()
	if !v.Synced {
		reason := "The cluster has not been read yet."
		switch {
		case v.Denied != nil:
			reason = "The cluster can't be read: " + v.Denied.Public() + "."
		case v.LastError != "":
			reason = "The cluster can't be read yet; the cause is in the service's log."
		}
		return transport.Status{NotReady: reason}
	}
	grace := a.settings.Cluster.UnavailableGrace
	st := transport.Status{StaleSince: v.StaleSince()}
	var reason string
	switch {
	case !v.Reachable && a.settings.Cluster.Manifests != "":
		reason = fmt.Sprintf("The folder or file of --manifests has been missing or unreadable for longer than %s; the service's log says why.", grace)
	case !v.Reachable:
		reason = fmt.Sprintf("Kubernetes has been unreachable for longer than %s.", grace)
	case v.Denied != nil:
		reason = fmt.Sprintf("Kubernetes could not be read for longer than %s: %s.", grace, v.Denied.Public())
	default:
		return st
	}
	if time.Since(st.StaleSince) >= grace {
		st.NotReady = reason + " Lookups are answered from the last state."
	}
	return st
}

// discover lists the cluster again and makes all health checks.
func (a *App) discover(ctx context.Context) error {
	begin := time.Now()
	if err := a.source.Relist(ctx); err != nil {
		return err
	}
	if a.checker != nil {
		if err := a.checker.CheckAllNow(ctx); err != nil {
			return err
		}
	}
	a.catalogue.Build()
	a.discovery.Update(time.Since(begin).Seconds())
	return nil
}
