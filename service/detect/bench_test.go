package detect

import (
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// BenchmarkIdentify measures the time to identify a Service of the corpus: all in turn,
// those that are no back ends (most of a real cluster), and those that are.
func BenchmarkIdentify(b *testing.B) {
	var all, none_, backends []*corev1.Service
	for _, l := range readLabelled(b, filepath.Join("testdata", "corpus")) {
		if all = append(all, l.svc); l.label == none {
			none_ = append(none_, l.svc)
		} else {
			backends = append(backends, l.svc)
		}
	}
	r := Default()
	for _, c := range []struct {
		name string
		svcs []*corev1.Service
	}{{"all", all}, {"none", none_}, {"backends", backends}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r.Identify(c.svcs[i], Options{})
				if i++; i == len(c.svcs) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load([]byte(ownKind), "own.yaml"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReload measures the cost of new rules: loading them, and identifying 100,000
// Services from all corpora and hold-out sets again.
func BenchmarkReload(b *testing.B) {
	const services = 100_000
	var all []*corev1.Service
	for _, set := range sets {
		for _, l := range readLabelled(b, filepath.Join("testdata", set.dir)) {
			all = append(all, l.svc)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := Load([]byte(ownKind), "own.yaml")
		if err != nil {
			b.Fatal(err)
		}
		found := 0
		for i := range services {
			if r.Identify(all[i%len(all)], Options{}).Backend != nil {
				found++
			}
		}
		if found < services/4 {
			b.Fatalf("found %d back ends", found)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/services, "ns/service")
}
