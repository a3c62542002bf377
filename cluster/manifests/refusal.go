package manifests

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/dynamic-toolset/cluster"
)

// maxRefusals bounds how many mistakes of one Service are reported.
const maxRefusals = 5

// refusal returns why an API server would not accept a Service; empty if it would. It has
// the rules of k8s.io/kubernetes/pkg/apis/core/validation (1.36) for the fields that are
// used here: names, labels, annotations, type, addresses and ports. A name may begin with
// a digit, as since 1.36.
func refusal(svc *corev1.Service) string {
	var errs field.ErrorList
	meta, spec := field.NewPath("metadata"), field.NewPath("spec")
	switch {
	case svc.Name != "":
		errs = append(errs, label(meta.Child("name"), svc.Name)...)
	case svc.GenerateName != "":
		errs = append(errs, field.Required(meta.Child("name"), "a folder has nobody who would generate one; generateName is not enough"))
	default:
		errs = append(errs, field.Required(meta.Child("name"), ""))
	}
	errs = append(errs, label(meta.Child("namespace"), svc.Namespace)...)
	errs = append(errs, metavalidation.ValidateLabels(svc.Labels, meta.Child("labels"))...)
	errs = append(errs, apivalidation.ValidateAnnotations(svc.Annotations, meta.Child("annotations"))...)
	errs = append(errs, metavalidation.ValidateLabels(svc.Spec.Selector, spec.Child("selector"))...)
	errs = append(errs, address(svc, spec)...)
	errs = append(errs, ports(svc, spec.Child("ports"))...)

	var text []string
	for _, err := range errs[:min(len(errs), maxRefusals)] {
		text = append(text, err.Error())
	}
	return cluster.Clean(strings.Join(text, "; "))
}

func label(at *field.Path, value string) (errs field.ErrorList) {
	for _, msg := range validation.IsDNS1123Label(value) {
		errs = append(errs, field.Invalid(at, cluster.Clean(value), msg))
	}
	return errs
}

func headless(svc *corev1.Service) bool { return svc.Spec.ClusterIP == corev1.ClusterIPNone }

func address(svc *corev1.Service, spec *field.Path) (errs field.ErrorList) {
	ip := svc.Spec.ClusterIP
	switch svc.Spec.Type {
	case corev1.ServiceTypeClusterIP:
	case corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		if headless(svc) {
			errs = append(errs, field.Invalid(spec.Child("clusterIP"), ip, "may not be None for this type"))
		}
	case corev1.ServiceTypeExternalName:
		if ip != "" {
			errs = append(errs, field.Forbidden(spec.Child("clusterIP"), "may not be set for ExternalName services"))
		}
		name := strings.TrimSuffix(svc.Spec.ExternalName, ".")
		if name == "" {
			errs = append(errs, field.Required(spec.Child("externalName"), ""))
			break
		}
		for _, msg := range validation.IsDNS1123Subdomain(name) {
			errs = append(errs, field.Invalid(spec.Child("externalName"), cluster.Clean(name), msg))
		}
	default:
		errs = append(errs, field.NotSupported(spec.Child("type"), corev1.ServiceType(cluster.Clean(string(svc.Spec.Type))),
			[]corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort}))
	}
	if ip != "" && !headless(svc) {
		if a, err := netip.ParseAddr(ip); err != nil || a.Zone() != "" {
			errs = append(errs, field.Invalid(spec.Child("clusterIP"), cluster.Clean(ip), "must be an IP address, None or empty"))
		}
	}
	return errs
}

func ports(svc *corev1.Service, at *field.Path) (errs field.ErrorList) {
	list := svc.Spec.Ports
	if len(list) == 0 && !headless(svc) && svc.Spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(at, ""))
	}
	type number struct {
		protocol corev1.Protocol
		port     int32
	}
	byName, byNumber, byNode := map[string]bool{}, map[number]bool{}, map[number]bool{}
	for i, p := range list {
		here := at.Index(i)
		switch {
		case p.Name == "" && len(list) > 1:
			errs = append(errs, field.Required(here.Child("name"), "several ports need names"))
		case p.Name != "":
			errs = append(errs, label(here.Child("name"), p.Name)...)
			if byName[p.Name] {
				errs = append(errs, field.Duplicate(here.Child("name"), p.Name))
			}
			byName[p.Name] = true
		}
		errs = append(errs, portNumber(here.Child("port"), int(p.Port))...)
		if n := (number{p.Protocol, p.Port}); byNumber[n] {
			errs = append(errs, field.Duplicate(here, p.Port))
		} else {
			byNumber[n] = true
		}
		switch p.Protocol {
		case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		default:
			errs = append(errs, field.NotSupported(here.Child("protocol"), corev1.Protocol(cluster.Clean(string(p.Protocol))),
				[]corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}))
		}
		if p.TargetPort.Type == intstr.String {
			for _, msg := range validation.IsValidPortName(p.TargetPort.StrVal) {
				errs = append(errs, field.Invalid(here.Child("targetPort"), cluster.Clean(p.TargetPort.StrVal), msg))
			}
		} else {
			errs = append(errs, portNumber(here.Child("targetPort"), p.TargetPort.IntValue())...)
		}
		if p.AppProtocol != nil {
			for _, msg := range validation.IsQualifiedName(*p.AppProtocol) {
				errs = append(errs, field.Invalid(here.Child("appProtocol"), cluster.Clean(*p.AppProtocol), msg))
			}
		}
		if p.NodePort == 0 {
			continue
		}
		errs = append(errs, portNumber(here.Child("nodePort"), int(p.NodePort))...)
		if svc.Spec.Type == corev1.ServiceTypeClusterIP {
			errs = append(errs, field.Forbidden(here.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
		if n := (number{p.Protocol, p.NodePort}); byNode[n] {
			errs = append(errs, field.Duplicate(here.Child("nodePort"), p.NodePort))
		} else {
			byNode[n] = true
		}
	}
	return errs
}

func portNumber(at *field.Path, n int) (errs field.ErrorList) {
	for _, msg := range validation.IsValidPortNum(n) {
		errs = append(errs, field.Invalid(at, n, msg))
	}
	return errs
}
