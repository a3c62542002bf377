package population

import (
	"testing"

	"kubernaut.io/dynamic-toolset/service/detect"
)

// What the figures are about: exactly a tenth of the Services are found, and
// these are the ones that count as toolsets here.
func TestATenthIsRecognised(t *testing.T) {
	p := Plan{Services: 2100}
	rules, found, small := detect.Default(), 0, 0
	seen := map[string]bool{}
	namespaces := map[string]bool{}
	for _, ns := range p.Namespaces() {
		namespaces[ns] = true
	}
	for i := range p.Services {
		svc := p.Service(i)
		key := svc.Namespace + "/" + svc.Name
		if seen[key] {
			t.Fatalf("%s is there twice", key)
		}
		seen[key] = true
		if !namespaces[svc.Namespace] {
			t.Fatalf("%s is in no namespace of the plan", key)
		}
		if svc.Namespace == SmallNamespace {
			small++
		}
		b := rules.Identify(svc, detect.Options{}).Backend
		if (b != nil) != (i%share == 0) {
			t.Fatalf("Service %d, %s: recognised %v", i, key, b != nil)
		}
		if b == nil {
			continue
		}
		if again := p.Toolset(found); again.Namespace+"/"+again.Name != key {
			t.Fatalf("toolset %d is %s/%s, not %s", found, again.Namespace, again.Name, key)
		}
		found++
	}
	if found != p.Toolsets() || found != 210 || small != SmallCluster {
		t.Errorf("%d toolsets, Toolsets() says %d; %d Services in %s", found, p.Toolsets(), small, SmallNamespace)
	}
}

func TestHealthEndpointsAreChecked(t *testing.T) {
	p := Plan{Services: 100, HealthEndpoint: func(int) string { return "http://127.1.2.3:1234/healthy" }}
	b := detect.Default().Identify(p.Toolset(3), detect.Options{}).Backend
	if b == nil || b.Probe.URL != "http://127.1.2.3:1234/healthy" {
		t.Errorf("%+v", b)
	}
}
