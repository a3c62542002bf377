package manifests

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// A finding is a Service in a manifest, the workloads of an object, or a problem with one.
type finding struct {
	workloads []*service.Workload // nil if it is something else
	service   *corev1.Service     // stripped and with defaults; nil if there is a problem
	key       types.NamespacedName
	where     string // the name of the object, or its place in the file, for people
	problem   string
	foreign   bool // it is neither a Kubernetes object nor looks like a Service
}

// maxListDepth bounds the nesting of Lists.
const maxListDepth = 4

// parseManifests returns the Services and workloads in a YAML file of one or more documents, or a JSON
// file of one or more values. It skips objects of other kinds. The error says that the
// file as a whole is not well-formed; it is a tooMuch if the file has more than
// maxObjects objects, or exceeds one of the bounds in bounds.go.
//
// stop is called now and then; if it returns true, the error is errStopped.
func parseManifests(data []byte, maxObjects int, stop func() bool) ([]finding, error) {
	p := parser{stop: stop, budget: newBudget(maxObjects)}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		err := p.jsonValues(trimmed)
		if _, refused := errors.AsType[tooMuch](err); err == nil || refused || errors.Is(err, errStopped) {
			return p.found, err
		}
		// YAML in flow style begins with a brace as well.
		p = parser{stop: stop, budget: newBudget(maxObjects)}
	}
	// The number is checked before anything is parsed, so that a file with too many
	// documents costs almost nothing.
	n := 0
	for range documents(data) {
		if n++; n > maxObjects {
			return nil, tooManyObjects(maxObjects)
		}
	}
	err := p.yamlDocuments(data)
	return p.found, err
}

var errStopped = errors.New("stopped")

type parser struct {
	stop   func() bool
	budget budget
	found  []finding
	doc    int // of the current document, from 1
}

func (p *parser) jsonValues(data []byte) error {
	dec := stdjson.NewDecoder(bytes.NewReader(data))
	for !p.stop() {
		var raw stdjson.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p.doc++
		if err := p.budget.document(raw); err != nil {
			return err
		}
		if err := p.object(raw, p.place(), 0); err != nil {
			return err
		}
	}
	return errStopped
}

func (p *parser) yamlDocuments(data []byte) error {
	for doc := range documents(data) {
		if p.stop() {
			return errStopped
		}
		p.doc++
		if err := p.budget.document(doc); err != nil {
			return err
		}
		if err := p.budget.aliases(doc); err != nil {
			return fmt.Errorf("%s: %w", p.place(), err)
		}
		// Converted to JSON as kubectl does, without regard to the types that are
		// expected: a label with the value true is a mistake, which an API server
		// refuses.
		raw, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return fmt.Errorf("%s: %w", p.place(), err)
		}
		if err := p.object(raw, p.place(), 0); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) place() string { return fmt.Sprintf("document %d", p.doc) }

// documents returns the documents of a YAML stream. (The reader of apimachinery loses a
// last line without a newline at the end of its buffer.)
func documents(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		start := 0
		for at := 0; at < len(data); {
			end := len(data)
			if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
				end = at + i + 1
			}
			ends := isMarker(data[at:end], "...")
			if (ends || isMarker(data[at:end], "---")) && at > start {
				if !yield(data[start:at]) {
					return
				}
				start = at
			}
			if ends {
				start = end
			}
			at = end
		}
		if start < len(data) {
			yield(data[start:])
		}
	}
}

// isMarker reports whether a line begins or ends a document. What follows "---" on its
// line belongs to the document.
func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

func (p *parser) refuse(where, format string, args ...any) {
	p.found = append(p.found, finding{where: where, problem: cluster.Clean(fmt.Sprintf(format, args...))})
}

// object reads one object as JSON. The error is a tooMuch or errStopped.
func (p *parser) object(raw []byte, place string, depth int) error {
	if err := p.budget.object(); err != nil {
		return err
	}
	if raw = bytes.TrimSpace(raw); string(raw) == "null" || len(raw) == 0 {
		return nil // an empty document, or one of comments only
	}
	var head objectHead
	if err := json.Unmarshal(raw, &head); err != nil {
		p.refuse(place, "is not a Kubernetes object: it needs apiVersion and kind, both strings")
		p.found[len(p.found)-1].foreign = raw[0] != '{'
		return nil
	}
	if problem := head.problem(); problem != "" {
		p.refuse(place, "%s", problem)
		p.found[len(p.found)-1].foreign = serviceKind(head.Kind) == ""
		return nil
	}
	switch head.APIVersion + " " + head.Kind {
	case "v1 Service":
		p.service(raw, place)
	case "v1 List", "v1 ServiceList":
		if depth == maxListDepth {
			p.refuse(place, "nests more than %d Lists", maxListDepth)
			return nil
		}
		var list struct {
			Items []stdjson.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(raw, &list); err != nil {
			p.refuse(place, "is a List whose items are not an array: %v", err)
			return nil
		}
		for i, item := range list.Items {
			if p.stop() {
				return errStopped
			}
			here := fmt.Sprintf("%s, item %d", place, i+1)
			if head.Kind == "ServiceList" { // its items may lack kind and apiVersion
				if err := p.budget.object(); err != nil {
					return err
				}
				p.service(item, here)
			} else if err := p.object(item, here, depth+1); err != nil {
				return err
			}
		}
	default:
		if w := workloads(head, raw); len(w) > 0 {
			p.found = append(p.found, finding{workloads: w})
		}
	}
	return nil
}

func (p *parser) service(raw []byte, place string) {
	// Name and namespace come first: they are needed even if the rest is invalid.
	var head struct {
		Metadata struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		p.refuse(place, "is not a Service: %v", err)
		return
	}
	f := finding{key: types.NamespacedName{Namespace: head.Metadata.Namespace, Name: head.Metadata.Name}, where: place}
	if f.key.Namespace == "" {
		f.key.Namespace = corev1.NamespaceDefault
	}
	if f.key.Name != "" {
		f.where = cluster.Clean(f.key.String())
	}
	var svc corev1.Service
	if err := json.Unmarshal(raw, &svc); err != nil {
		f.problem = cluster.Clean(err.Error())
	} else {
		setDefaults(&svc)
		f.problem = refusal(&svc)
	}
	if f.problem == "" {
		svc = cluster.Strip(&svc)
		f.service = &svc
	}
	p.found = append(p.found, f)
}

// setDefaults sets the defaults of a Service as an API server does before it validates
// it, as far as they matter here (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go).
func setDefaults(svc *corev1.Service) {
	svc.ResourceVersion = ""
	if svc.Namespace == "" {
		svc.Namespace = corev1.NamespaceDefault
	}
	if svc.Spec.Type == "" {
		svc.Spec.Type = corev1.ServiceTypeClusterIP
	}
	for i := range svc.Spec.Ports {
		port := &svc.Spec.Ports[i]
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		if port.TargetPort.IntVal == 0 && port.TargetPort.StrVal == "" {
			port.TargetPort.IntVal = port.Port
		}
	}
}
