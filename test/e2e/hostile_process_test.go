package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// secret is what must not be logged.
const secret = "SECRET.canary-0123456789"

// hostileKeys are the other annotations; each gets some of the values.
var hostileKeys = []string{
	detect.AnnotationToolset, detect.AnnotationType, detect.AnnotationHealthPath, detect.AnnotationHealthEndpoint,
	detect.AnnotationPrimary, detect.AnnotationType, "kubernaut.io/of-nobody",
	detect.AnnotationTenant, detect.AnnotationExternalURL, detect.AnnotationTLSVerify,
}

// Services with annotations that are meant to break something go through the whole
// service as a process: from manifests through detection to the lists, the documents for
// agents, the ConfigMap and the log. Each value arrives unchanged, or is refused; it
// changes nothing else.
func TestHostileAnnotations(t *testing.T) {
	t.Parallel() // it mostly waits
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "configmap.yaml")
	sent := map[string]corev1.Service{}
	var list corev1.ServiceList
	for i, value := range testenv.HostileTexts {
		keys := []string{detect.AnnotationDescription, hostileKeys[i%len(hostileKeys)], detect.AnnotationEndpoint}
		if !strings.Contains(value, "/") {
			keys[2] = detect.AnnotationName
		}
		for _, key := range keys {
			name := fmt.Sprintf("h-%d", len(sent))
			s := corev1.Service{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "hostile", Name: name, Annotations: map[string]string{key: value}, Labels: map[string]string{"app.kubernetes.io/name": "prometheus"}},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 9090}}, Selector: map[string]string{"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": name}},
			}
			sent[name] = s
			list.Items = append(list.Items, s)
		}
	}
	for i := range list.Items { // JSON is YAML
		data, err := json.Marshal(&list.Items[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, list.Items[i].Name+".yaml"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := serve(t, "serve", "--manifests", dir, "--write-configmap", out, "--log-level", "debug")
	// All are Prometheus by their labels, and no annotation switches one off.
	want := len(sent)
	p.answers("/ready", 200)
	body := p.answers("/api/v1/toolsets", 200, fmt.Sprintf(`"total":%d`, want))
	var toolsets struct {
		Toolsets []struct {
			Name, Namespace, Type, Description, ServiceEndpoint string
			Connection                                          struct{ Tenant, ExternalURL string }
		}
	}
	decode(t, body, &toolsets)
	if len(toolsets.Toolsets) != want {
		t.Fatalf("%d toolsets, want %d", len(toolsets.Toolsets), want)
	}
	intact := map[string]bool{}
	for _, ts := range toolsets.Toolsets {
		checkTool(t, ts.Name, ts.Namespace, ts.Type, ts.ServiceEndpoint, ts.Description)
		if c := ts.Connection; strings.ContainsAny(c.Tenant+c.ExternalURL, " \t\r\n'\"`$;&<>{}\\") || c.ExternalURL != "" && !strings.HasPrefix(c.ExternalURL, "http") {
			t.Errorf("%s is to be connected to with %q", ts.Name, c)
		}
		intact[ts.Description] = true
	}
	for _, value := range testenv.HostileTexts {
		fine := value != "" && len(value) <= 500 && !strings.ContainsFunc(value, func(r rune) bool {
			return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.In(r, unicode.Bidi_Control, unicode.Noncharacter_Code_Point)
		})
		if intact[value] != fine {
			t.Errorf("the description %.80q is listed as it is: %v, want %v", value, intact[value], fine)
		}
	}
	p.checkServices(t, sent)
	p.checkExplanations(t, sent)
	p.checkDocuments(t, out, want)
	p.checkRequests(t)
	p.stop() // it has not crashed
	p.checkLog(t)
}

var safeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// checkTool checks those values that agents put into commands and templates.
func checkTool(t *testing.T, name, namespace, kind, endpoint, description string) {
	t.Helper()
	u, err := url.Parse(endpoint)
	if !safeName.MatchString(name) || len(name) > 600 || namespace != "hostile" || !safeName.MatchString(kind) || len(kind) > 63 ||
		err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.ContainsAny(endpoint, " \t\r\n'\"`$;|&<>(){}\\%*!#?^") {
		t.Errorf("listed as %q in %q of type %.100q at %.200q (%v)", name, namespace, kind, endpoint, err)
	}
	if len(description) > 600 || strings.ContainsFunc(description, unicode.IsControl) {
		t.Errorf("%s is described as %.600q", name, description)
	}
}

func decode(t *testing.T, body string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	if err := d.Decode(v); err != nil {
		t.Fatalf("not JSON: %v: %.500q", err, body)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more follows after the document: %v", err)
	}
}

// checkServices checks that annotations and labels are listed unchanged, each of its own
// Service.
func (p *process) checkServices(t *testing.T, sent map[string]corev1.Service) {
	t.Helper()
	var got struct {
		Services []struct {
			Name                string
			Labels, Annotations map[string]string
		}
	}
	decode(t, p.answers("/api/v1/services", 200), &got)
	for _, s := range got.Services {
		for key, value := range s.Annotations {
			if want := sent[s.Name].Annotations[key]; value != want {
				t.Errorf("%s has the annotation %s: %.80q, not %.80q", s.Name, key, value, want)
			}
		}
	}
}

// checkExplanations checks that each annotation is explained under its key, that its value
// is cut, and that what people are told to copy has none of it.
func (p *process) checkExplanations(t *testing.T, sent map[string]corev1.Service) {
	t.Helper()
	for name, s := range sent {
		var got explain.Document
		decode(t, p.answers("/api/v1/services/hostile/"+name+"/explain", 200), &got)
		for key := range s.Annotations {
			if len(got.Annotations) != 1 || got.Annotations[0].Key != key || len(got.Annotations[0].Value) > 250 {
				t.Errorf("%s: %s is explained as %.500q", name, key, fmt.Sprint(got.Annotations))
			}
		}
		for _, c := range got.Change {
			if !regexp.MustCompile(`^kubectl annotate service -n hostile h-\d+ --overwrite( kubernaut\.io/[a-z-]+(=[a-z]+|-))+$|^add to the list toolsets in the key overrides\.yaml of the ConfigMap: - \{name: h-\d+, namespace: hostile, (disable|primary): true\}$`).MatchString(c.How) {
				t.Errorf("%s: to be copied is %.300q", name, c.How)
			}
		}
	}
}

// checkDocuments checks that the ConfigMap is one object with the documents that are
// served, and that agents can load these.
func (p *process) checkDocuments(t *testing.T, out string, want int) {
	t.Helper()
	var served string
	var data map[string]string
	for end := time.Now().Add(testenv.Patience); ; time.Sleep(50 * time.Millisecond) {
		served = p.answers("/api/v1/toolset", 200)
		file, err := os.ReadFile(out)
		if err == nil {
			var cm corev1.ConfigMap
			if err := yaml.UnmarshalStrict(file, &cm); err != nil {
				t.Fatalf("the ConfigMap is not YAML of one: %v", err)
			}
			data = cm.Data
		}
		if data[kubernaut.Key] == served {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the ConfigMap does not hold what is served: %.300q", data[kubernaut.Key])
		}
	}
	for key := range data {
		if key != kubernaut.Key && key != holmesgpt.Key {
			t.Errorf("the ConfigMap has a key %q", key)
		}
	}
	var doc struct{ Tools []kubernaut.Tool }
	decode(t, served, &doc)
	if len(doc.Tools) != want {
		t.Errorf("%d tools in the document, want %d", len(doc.Tools), want)
	}
	for _, tool := range doc.Tools {
		checkTool(t, tool.Name, tool.Namespace, tool.Type, tool.Endpoint, tool.Description)
		checkTool(t, tool.Name, tool.Namespace, tool.Type, tool.Config["url"], tool.Description)
	}
	if holmes, ok := data[holmesgpt.Key]; ok {
		if err := holmesgpt.Check([]byte(holmes)); err != nil {
			t.Errorf("HolmesGPT would not load its document: %v", err)
		}
	}
}

// checkRequests sends some of the requests of the hostile suite in package transport to
// the process.
func (p *process) checkRequests(t *testing.T) {
	t.Helper()
	for request, want := range map[string]int{
		"POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX": 400,
		"GET /health HTTP/1.1\nHost: x\r\n\n\r\n\r\n":                                                        400,
		"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n":                                                 400,
		"GET /health HTTP/1.1\r\n\r\n":                                                                       400,
		"GET /health HTTP/2.0\r\nHost: x\r\n\r\n":                                                            505,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                                   505,
		"GET /health#.png HTTP/1.1\r\nHost: x\r\n\r\n":                                                       400,
		"GET /\u202e/%e2%80%ae HTTP/1.1\r\nHost: x\r\nX-Request-ID: \u202e\r\n\r\n":                          404,
		"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\x00\r\n\r\n":                400,
		"GET /health HTTP/1.1\r\nHost: x\r\nCookie : " + secret + "\r\n\r\n":                                 400,
		"GET /health?x=" + secret + "\x7f HTTP/1.1\r\nHost: x\r\n\r\n":                                       400,
		"GET /nothing?x=" + secret + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\r\n\r\n":  404,
		"POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Length: " + secret + "\r\n\r\n" + secret:       400,
		"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\x01b\r\n\r\n":                                   400,
		"GET /" + strings.Repeat("a", 20_000) + " HTTP/1.1\r\nHost: x\r\n\r\n":                               414,
		"GET /health HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 20_000) + "\r\n\r\n":                  431,
		"GET /..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n":                                            404,
		"GET /api/v1/toolsets/x%2f..%2fh-0 HTTP/1.1\r\nHost: x\r\n\r\n":                                      404,
		"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("x", 200) + "\r\n\r\n":               400,
		"POST /api/v1/toolsets/validate HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n":          415,
		"POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n": 415,
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(testenv.Patience)) //nolint:errcheck // the read tells
		io.WriteString(c, request)                      //nolint:errcheck
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%.80q: %v", request, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		c.Close() //nolint:errcheck // it was read
		if err == nil {
			err = problemdoc.Check(resp.Header.Get("Content-Type"), body, resp.StatusCode)
		}
		if err != nil || resp.StatusCode != want || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%.80q: %d %v %s, want %d", request, resp.StatusCode, err, body, want)
		}
	}
}

// checkLog checks that each line is an entry: a value with a line feed could turn one
// line into two.
func (p *process) checkLog(t *testing.T) {
	t.Helper()
	for _, line := range p.log.all() {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a line of the log is not JSON: %.300q", line)
		} else if entry.Level == "error" && !strings.Contains(entry.Msg, "did not close") { // on a busy machine
			t.Errorf("an error in the log: %.300s", line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("a line of the log is not printable ASCII: %.300q", line)
		}
		if strings.Contains(line, secret) {
			t.Errorf("a line of the log has what a client sent in a header field, query or body: %.300q", line)
		}
	}
}
