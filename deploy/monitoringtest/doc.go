// Package monitoringtest tests what deploy/components/monitoring and docs/operations.md
// say about the running service. It has no code of its own.
//
// A rule or a panel with a metric that does not exist causes no error: it shows nothing,
// which looks like "all is well". So the tests start the service and a real Prometheus
// that scrapes it, cause everything that is counted, and check that each selector, each
// rule and each panel has a result. The alerts also have unit tests (testdata, for
// promtool test rules): each must fire when it should, and must not when it should not.
package monitoringtest
