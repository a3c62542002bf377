package detect

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service/endpoint"
)

func (r *Rules) identify(svc *corev1.Service, o Options) Result {
	if !endpoint.IsLabel(svc.Name) || svc.Namespace != "" && !endpoint.IsLabel(svc.Namespace) {
		// Kubernetes accepts no such Service; the name must not get into an endpoint.
		return Result{Rejected: "its name or namespace is not a DNS label"}
	}
	d := declared(svc.Annotations)
	res := Result{Problems: d.problems, Unread: unread(svc.Annotations, svc.Labels)}
	if d.off {
		res.Rejected = "switched off by the annotation " + AnnotationToolset
		return res
	}
	svc, seen := r.lookAt(svc, o.Workloads)
	f := r.recognise(svc, seen)
	switch {
	case f.kind == nil && !d.on:
		if res.Rejected = f.rejected; d.any {
			res.Problems = append(res.Problems, Problem{AnnotationToolset,
				`must be "true" for the other annotations to declare a toolset, since no rule recognises the Service`})
		}
		res.Candidate = r.candidate(svc, o, &d, f.traces)
		return res
	case f.kind == nil && !d.valid:
		res.Rejected = "declared by annotations, some of which are wrong"
		return res
	case !d.connection:
		d.typ, d.endpoint, d.health = "", "", ""
	}
	b := r.builder(svc, o, &d, &f, &seen)
	if b.endpoint == "" {
		res.Rejected = "declared by annotations, but it has no TCP port"
		res.Problems = append(res.Problems, Problem{AnnotationEndpoint,
			"must be given, such as http://example.internal:8080, since the Service has no TCP port"})
		return res
	}
	res.Backend = b.backend(cmp.Or(d.name, svc.Name), &d)
	return res
}
