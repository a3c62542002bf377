package snapshot

import (
	"bytes"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

func TestDocument(t *testing.T) {
	c := newState()
	off := servicetest.Service("a", "off", "loki")
	off.Annotations = map[string]string{"off": "1"}
	c.Replace([]*corev1.Service{servicetest.Service("a", "p", "prometheus"), off})
	c.Build()
	first := c.Document().JSON()
	want := `{"tools":[
{"name":"p","type":"prometheus","endpoint":"http://p.a.svc:80","description":"a <prometheus> & more","namespace":"a","config":{"url":"http://p.a.svc:80"}}
]}
`
	if string(first) != want {
		t.Errorf("got %s", first)
	}
	if found, err := kubernaut.Validate(first); err != nil || found != nil {
		t.Errorf("the generated document is not valid: %v %v", found, err)
	}
	c.SetHealth(service.Key{Namespace: "a", Name: "p"}, service.Health{Healthy: true, CheckedAt: time.Now()})
	c.Build()
	if !bytes.Equal(first, c.Document().JSON()) {
		t.Error("a health check changed the document: every agent would reload")
	}
}
