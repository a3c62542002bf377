package app

import (
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster/tokenreview"
	"kubernaut.io/dynamic-toolset/transport"
)

// askWhoCalls makes the cluster's API server decide about callers, if the settings ask
// for that.
func (a *App) askWhoCalls(cfg *rest.Config) error {
	s := a.settings.Access
	if !s.Tokens {
		return nil
	}
	reviewer, err := tokenreview.New(cfg, tokenreview.Options{Audiences: s.Audiences, OnForbidden: a.countForbidden})
	if err != nil {
		return err
	}
	a.auth = &transport.Auth{Reviewer: reviewer, TTL: s.CacheTTL, Metrics: s.Metrics}
	return nil
}
