package workloads

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// services remembers the Services that select pods, and finds those that select given
// ones. It is not safe for concurrent use.
type services struct {
	namespaces map[string]*shelf
}

// A shelf has the Services of one namespace.
type shelf struct {
	all map[string]*kept // by name
	by  map[label][]*kept
}

// A kept Service is one that selects pods, as protobuf: in a large cluster all Services as
// objects would take hundreds of megabytes.
type kept struct {
	data     []byte
	name     string
	selector []label // the first is the one under which it is filed
}

// keep returns svc to be remembered; nil if it selects no pods.
func keep(svc *corev1.Service) *kept {
	if len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	data, err := svc.Marshal()
	if err != nil {
		return nil // no object is without a form in protobuf
	}
	k := &kept{data: data, name: svc.Name, selector: make([]label, 0, len(svc.Spec.Selector))}
	for key, value := range svc.Spec.Selector {
		k.selector = append(k.selector, label{key, value})
	}
	return k
}

// selects reports whether pods with these labels are selected.
func (k *kept) selects(labels map[string]string) bool {
	for _, l := range k.selector {
		if have, ok := labels[l.key]; !ok || have != l.value {
			return false
		}
	}
	return true
}

func (k *kept) service() *corev1.Service {
	svc := &corev1.Service{}
	if err := svc.Unmarshal(k.data); err != nil {
		return nil
	}
	return svc
}

// set remembers k as the Service of this key, or that there is none if k is nil.
func (s *services) set(key service.Key, k *kept) {
	sh := s.namespaces[key.Namespace]
	if sh == nil {
		if k == nil {
			return
		}
		if s.namespaces == nil {
			s.namespaces = map[string]*shelf{}
		}
		sh = &shelf{all: map[string]*kept{}, by: map[label][]*kept{}}
		s.namespaces[key.Namespace] = sh
	}
	if old := sh.all[key.Name]; old != nil {
		delete(sh.all, key.Name)
		filed := old.selector[0]
		if list := sh.by[filed]; len(list) > 1 {
			at := slices.Index(list, old)
			list[at] = list[len(list)-1]
			list[len(list)-1] = nil
			sh.by[filed] = list[:len(list)-1]
		} else {
			delete(sh.by, filed)
		}
	}
	if k == nil {
		if len(sh.all) == 0 {
			delete(s.namespaces, key.Namespace)
		}
		return
	}
	// Under the label with the fewest Services: a name of an instance, rather than that of
	// a product.
	for i, l := range k.selector {
		if len(sh.by[l]) < len(sh.by[k.selector[0]]) {
			k.selector[0], k.selector[i] = l, k.selector[0]
		}
	}
	sh.all[key.Name] = k
	filed := sh.by[k.selector[0]]
	if filed == nil {
		filed = make([]*kept, 0, 1) // most have one
	}
	sh.by[k.selector[0]] = append(filed, k)
}

func (s *services) get(key service.Key) *kept {
	if sh := s.namespaces[key.Namespace]; sh != nil {
		return sh.all[key.Name]
	}
	return nil
}

// selecting adds to found the Services of a namespace that select pods with these labels.
func (s *services) selecting(namespace string, labels map[string]string, found map[service.Key]struct{}) {
	sh := s.namespaces[namespace]
	if sh == nil {
		return
	}
	for k, v := range labels {
		for _, kept := range sh.by[label{k, v}] {
			if kept.selects(labels) {
				found[service.Key{Namespace: namespace, Name: kept.name}] = struct{}{}
			}
		}
	}
}
