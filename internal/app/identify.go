package app

import (
	"fmt"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/identify"
)

// buildProber builds what asks back ends who they are, and connects it to the catalogue.
func (a *App) buildProber(rules *detect.Rules) error {
	s := a.settings
	roots, err := s.Health.RootCAs()
	if err != nil {
		return fmt.Errorf("--health-ca-file: %w", err)
	}
	a.prober, err = identify.New(identify.Options{
		Rules: rules.Identities(), Timeout: s.Health.Timeout, CandidatesPerMinute: s.Discovery.CandidatesPerMinute,
		AllowCIDRs: s.Health.AllowEndpointCIDRs, RootCAs: roots,
		Report: func(k service.Key, id service.Identity) { a.catalogue.SetIdentity(k, id) },
		OnRequest: func(typ, protocol string) {
			a.set.GetOrCreateCounter(fmt.Sprintf("toolset_identity_requests_total{service_type=%q,protocol=%q}", typ, protocol)).Inc()
		},
	})
	if err != nil {
		return err
	}
	a.catalogue.Ask(catalogue.Asking{Identifier: a.prober, Question: rules.Question, Correct: rules.Correct, Changed: a.identityChanged})
	return nil
}

// identityChanged logs that a back end has said something new about itself.
func (a *App) identityChanged(b *service.Backend, before, now *service.Identity) {
	fields := []zap.Field{
		zap.Stringer("service", b.Key), zap.String("type", b.Type), zap.String("verdict", string(now.Verdict)),
		zap.String("product", now.Product), zap.String("version", now.Version), zap.Strings("evidence", now.Evidence),
	}
	switch {
	case now.Verdict == service.Refuted:
		a.log.Warn("A back end is not what its Service says; it is left out of the documents", fields...)
	case before.Product != "" && now.Product != "" && before.Product != now.Product:
		a.log.Warn("A back end is another product now", append(fields, zap.String("before", before.Product))...)
	default:
		a.log.Debug("A back end has said what it is", fields...)
	}
}
