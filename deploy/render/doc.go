// Package render renders the ways to install from deploy/ and compares them: kustomize
// overlays and the Helm chart, each by the library of its tool, so that neither tool is
// needed.
//
//	objects, err := manifest.Kustomize("../overlays/production")
//	objects, notes, err := render.Helm("../chart", render.Release{
//		Name: "dynamic-toolset", Namespace: "kubernaut-system", Values: values})
//	for _, d := range render.Compare(a, b) { ... }
//
// Its tests check what the folder promises: an overlay and the chart with the
// corresponding values give the same objects; a real API server accepts each of them and
// refuses unknown fields; the pods meet the restricted Pod Security Standard; references
// between objects are right; and values that make no sense are refused with a sentence.
//
// It is a module of its own, so that the service does not depend on Helm.
package render
