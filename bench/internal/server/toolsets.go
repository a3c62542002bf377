package server

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
)

// The toolsets. All have the same length, and their number gives lists of the sizes that
// the workloads have in their names.
const (
	namespaces   = 100
	perNamespace = 10  // toolsets in each namespace
	toolsetBytes = 400 // length of a toolset as JSON

	askedNamespace = "team-042"
	askedName      = "prometheus-042-7"
)

// Toolsets is the number of toolsets.
const Toolsets = namespaces * perNamespace

// Namespaces returns the names of the toolsets' namespaces.
func Namespaces() []string {
	var names []string
	for n := range namespaces {
		names = append(names, namespace(n))
	}
	return names
}

func namespace(n int) string { return fmt.Sprintf("team-%03d", n) }

// Services returns the Services of the toolsets.
func Services() []*corev1.Service {
	var all []*corev1.Service
	for n := range namespaces {
		for i := range perNamespace {
			svc := fixtures.BackEnd(namespace(n), i)
			svc.Name = fmt.Sprintf("%s-%03d-%d", svc.Labels["app.kubernetes.io/name"], n, i)
			svc.Annotations["kubernaut.io/toolset-description"] = description(svc)
			all = append(all, svc)
		}
	}
	return all
}

const (
	// frame is the JSON of a toolset without what differs between toolsets.
	frame = `{"name":"","namespace":"","type":"","description":"","enabled":true,"healthy":false,"healthReason":"not checked yet",` +
		`"config":{"url":"http://..svc.cluster.local:"},"serviceEndpoint":"http://..svc.cluster.local:",` +
		`"discoveredAt":"2026-01-02T03:04:05.678Z","lastHealthCheck":null}`
	sentence = "Of the team that runs the shop: what it serves, what it waits for, and what it has to say of it, for ninety days. Ask its owners for more."
)

// description returns a description as long as needed to make the toolset toolsetBytes long.
func description(svc *corev1.Service) string {
	kind, port := svc.Labels["app.kubernetes.io/name"], strconv.Itoa(int(svc.Spec.Ports[0].Port))
	// Both URLs contain the name, the namespace and the port, too.
	others := len(frame) + 3*len(svc.Name) + 3*len(svc.Namespace) + 2*len(port) + len(kind)
	return sentence[:toolsetBytes-others]
}
