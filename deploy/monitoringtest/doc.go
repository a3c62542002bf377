// Package monitoringtest holds the tests of what deploy/components/monitoring and
// docs/operations.md say about the running service. It has no code of its own.
//
// A rule or a panel that names a metric which does not exist never complains: it
// shows nothing, which looks like "all is well". So the tests start the service
// and a real Prometheus that scrapes it, make happen what is counted, and ask for
// each selector, each rule and each panel whether it is answered with something.
// The alerts have unit tests besides (testdata, for promtool test rules): each
// must fire when it should, and must not when it should not.
package monitoringtest
