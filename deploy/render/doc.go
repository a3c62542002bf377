// Package render renders the ways in which deploy/ can be installed, and compares
// them: kustomize overlays and the Helm chart, each by the tool's own library, so
// that neither tool needs to be there.
//
//	objects, err := manifest.Kustomize("../overlays/production")
//	objects, notes, err := render.Helm("../chart", render.Release{
//		Name: "dynamic-toolset", Namespace: "kubernaut-system", Values: values})
//	for _, d := range render.Compare(a, b) { ... }
//
// Its tests are what the folder promises: an overlay and its values of the chart
// are the same objects; a real API server takes every one of them, unknown fields
// refused; the pods meet the restricted Pod Security Standard; what refers to
// each other fits; and values that make no sense are refused with a sentence.
//
// It is a module of its own so that the service does not depend on Helm.
package render
