package app

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service/detect"
)

func aService(name string, port int32, annotations map[string]string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: name, Annotations: annotations},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "http", Port: port}}},
	}
}

// At debug level the log says for each Service why it is listed or not, once for each
// change. Wrong annotations are logged at every level.
func TestLogSaysWhyAServiceIsListedOrNot(t *testing.T) {
	for _, level := range []zapcore.Level{zapcore.DebugLevel, zapcore.InfoLevel} {
		core, logs := observer.New(level)
		identify := recognise(detect.Default(), "", nil, config.IdentifyOff, newRecognitionLog(zap.New(core)).see)
		lines := func() string {
			var all []string
			for _, e := range logs.TakeAll() {
				f := e.ContextMap()
				line := fmt.Sprint(e.Level, ": ", e.Message, " ", f["service"])
				for _, field := range []string{"type", "reason", "annotation"} {
					if v, ok := f[field]; ok {
						line += fmt.Sprint(" ", v)
					}
				}
				all = append(all, line)
			}
			return strings.Join(all, "\n")
		}
		want := func(what, debug, info string) {
			t.Helper()
			if level == zapcore.InfoLevel {
				debug = info
			}
			got := lines()
			if got != debug {
				t.Errorf("%s level, %s:\ngot  %s\nwant %s", level, what, got, debug)
			}
		}
		prometheus := aService("prometheus", 9090, nil)
		for range 3 { // all Services are identified again every few minutes
			identify(prometheus)
			identify(aService("prometheus-operator", 8443, nil))
			identify(aService("shop", 80, nil))
		}
		want("at first", "debug: A Service is listed monitoring/prometheus prometheus\n"+
			"debug: A Service is not listed monitoring/prometheus-operator looks like prometheus, but \"operator\" in its selector says that it is something else\n"+
			"debug: A Service is not listed monitoring/shop nothing about it looks like a back end that a rule knows", "")
		off := aService("prometheus", 9090, map[string]string{detect.AnnotationToolset: "disabled"})
		identify(off)
		identify(off)
		want("switched off", "debug: A Service is not listed monitoring/prometheus switched off by the annotation kubernaut.io/toolset", "")
		wrong := aService("prometheus", 9090, map[string]string{detect.AnnotationPrimary: "yes"})
		for range 2 {
			identify(wrong)
			identify(wrong)
			want("a wrong annotation", "warn: An annotation is not usable monitoring/prometheus "+detect.AnnotationPrimary+
				"\ndebug: A Service is listed monitoring/prometheus prometheus", "warn: An annotation is not usable monitoring/prometheus "+detect.AnnotationPrimary)
			identify(prometheus)
			want("put right", "debug: A Service is listed monitoring/prometheus prometheus", "")
		}
		misspelt := aService("prometheus", 9090, map[string]string{detect.AnnotationPrimary + "y": "true"})
		for range 2 {
			identify(misspelt)
			identify(misspelt)
			want("a misspelt annotation", "warn: An annotation does nothing monitoring/prometheus "+detect.AnnotationPrimary+"y"+
				"\ndebug: A Service is listed monitoring/prometheus prometheus", "warn: An annotation does nothing monitoring/prometheus "+detect.AnnotationPrimary+"y")
			identify(prometheus)
			want("put right", "debug: A Service is listed monitoring/prometheus prometheus", "")
		}
		again := prometheus.DeepCopy()
		again.UID = "another"
		identify(again)
		want("created anew", "debug: A Service is listed monitoring/prometheus prometheus", "")
	}
}

func TestRecognitionForgetsRatherThanGrows(t *testing.T) {
	core, _ := observer.New(zapcore.DebugLevel)
	d := newRecognitionLog(zap.New(core))
	for i := range maxTold + 10 {
		d.isNew(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("s", i)}}, &detect.Result{})
	}
	if len(d.told) > maxTold || len(d.told) == 0 {
		t.Errorf("remembers %d Services; the bound is %d", len(d.told), maxTold)
	}
}

// What sources leave out of a Service, no rule reads.
func TestSourcesKeepWhatRulesRead(t *testing.T) {
	rules := detect.Default()
	svc := aService("prometheus-k8s", 9091, map[string]string{"service.beta.openshift.io/serving-cert-secret-name": "tls", "other": "x", "kubernaut.io/toolset-name": "main"})
	svc.Spec.Ports[0].Name = "web"
	svc.Spec.Selector = map[string]string{"app.kubernetes.io/name": "prometheus"}
	stripped := cluster.Strip(svc)
	want, got := rules.Identify(svc, detect.Options{}).Backend, rules.Identify(&stripped, detect.Options{}).Backend
	if want == nil || !want.Equal(got) || want.Name != "main" || len(got.Annotations) != 1 {
		t.Errorf("%+v, want %+v", got, want)
	}
	svc.Annotations, svc.Spec.Ports[0] = map[string]string{"service.alpha.openshift.io/serving-cert-secret-name": "tls"}, corev1.ServicePort{Name: "web", Port: 9090}
	stripped = cluster.Strip(svc)
	if got := rules.Identify(&stripped, detect.Options{}).Backend; got == nil || got.Endpoint != "https://prometheus-k8s.monitoring.svc.cluster.local:9090" {
		t.Errorf("%+v", got)
	}
	protocol := "mcp"
	for key, value := range map[string]string{"kagent.dev/mcp-service-path": "/a", "kagent.dev/mcp-service-port": "81", "kagent.dev/mcp-service-protocol": "SSE",
		"kgateway.dev/mcp-path": "/b", "agentgateway.dev/mcp-path": "/c"} {
		svc := aService("tools", 80, nil)
		svc.Labels = map[string]string{"kagent.dev/mcp-service": "true"}
		svc.Spec.Ports = []corev1.ServicePort{{Port: 80, AppProtocol: &protocol}, {Port: 81}}
		bare := rules.Identify(svc, detect.Options{}).Backend
		svc.Annotations = map[string]string{key: value}
		stripped := cluster.Strip(svc)
		want, got := rules.Identify(svc, detect.Options{}).Backend, rules.Identify(&stripped, detect.Options{}).Backend
		if got == nil || !got.Equal(want) || got.Equal(bare) {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}
