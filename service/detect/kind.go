package detect

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// A kind is one kind of back end. rules.yaml explains the fields.
type kind struct {
	id           int16 // index in Rules.kinds
	typ          string
	description  string
	names        []string
	weakNames    []string
	selectorKeys []string
	tlsKeys      []string
	except       []string
	exceptPorts  []int32
	allow        []string
	ports        []port
	portNames    []string
	commonPorts  bool
	scheme       string
	apiPath      string
	health       health
}

// A port is a port at which the kind answers queries.
type port struct {
	number     int32
	named      []string // if not empty, the Service's port must have one of these names
	scheme     string   // empty for the kind's
	apiPath    string   // empty for the kind's
	identifies bool     // nothing else uses this number, so no name is needed
	// identifiedBy are names that prove the kind, together with the number.
	identifiedBy []string
}

// health says how to check a back end of a kind.
type health struct {
	probe        string // service.ProbeHTTP or service.ProbeTCP
	path         string
	port         int32 // if the Service has this port, it is checked by HTTP instead; 0 for none
	acceptStatus []int
	frontWords   []string // names of a proxy in front of the back end
	frontPath    string   // the path to check at such a proxy
}

var (
	kindFields = []string{"type", "disabled", "description", "names", "weakNames", "selectorKeys", "tlsKeys", "except", "exceptPorts", "allow",
		"ports", "portNames", "commonPorts", "scheme", "apiPath", "health"}
	portFields   = []string{"number", "named", "scheme", "apiPath", "identifies", "identifiedBy"}
	healthFields = []string{"probe", "path", "port", "acceptStatus", "front"}
	frontFields  = []string{"words", "path"}
)

// kind reads one kind; off means that it only disables a built-in one. The result is not
// used if there are errors.
func (r *reader) kind(n *yaml.Node, path string) (k *kind, off bool) {
	m := r.mapping(n, path, kindFields...)
	if m == nil {
		return nil, false
	}
	k = &kind{typ: r.text(m["type"], path+".type")}
	switch {
	case m["type"] == nil:
		r.bad(n, path, `has no type; add one, such as "type: prometheus"`)
	case k.typ != "" && !endpoint.IsLabel(k.typ):
		r.bad(m["type"], path+".type", "%s must be lower case letters, digits and '-', at most 63 characters", quoted(k.typ))
		k.typ = ""
	case k.typ == customType:
		r.bad(m["type"], path+".type", "%s is for Services that only annotations declare; choose another", quoted(k.typ))
		k.typ = ""
	case k.typ != "":
		path += " (" + k.typ + ")"
	}
	if r.boolean(m["disabled"], path+".disabled") {
		if len(m) > 2 {
			r.bad(n, path, "is disabled, so it must have no fields but type and disabled; remove the others, or remove disabled")
		}
		return k, true
	}
	if k.description = r.text(m["description"], path+".description"); m["description"] == nil {
		r.bad(n, path, "has no description; add one sentence that tells an agent what it can ask this back end")
	}
	k.names = r.texts(m["names"], path+".names", wordProblem)
	k.weakNames = r.texts(m["weakNames"], path+".weakNames", wordProblem)
	k.except = r.texts(m["except"], path+".except", wordProblem)
	for i, p := range r.list(m["exceptPorts"], path+".exceptPorts", maxListItems) {
		k.exceptPorts = append(k.exceptPorts, r.number(p, fmt.Sprintf("%s.exceptPorts[%d]", path, i), 1, 65535))
	}
	k.allow = r.texts(m["allow"], path+".allow", wordProblem)
	k.portNames = r.texts(m["portNames"], path+".portNames", portNameProblem)
	k.selectorKeys = r.texts(m["selectorKeys"], path+".selectorKeys", labelKeyProblem)
	k.tlsKeys = r.texts(m["tlsKeys"], path+".tlsKeys", labelKeyProblem)
	if m["names"] == nil {
		r.bad(n, path, "has no names; add what Services, labels and selectors call it, such as [%s]", k.typ)
	}
	for i, p := range r.list(m["ports"], path+".ports", maxListItems) {
		k.ports = append(k.ports, r.port(p, fmt.Sprintf("%s.ports[%d]", path, i)))
	}
	if len(k.ports) == 0 {
		r.bad(n, path, "has no ports; add those at which it answers queries, best first, such as [{number: 9090}]")
	}
	k.commonPorts = r.boolean(m["commonPorts"], path+".commonPorts")
	if k.scheme = r.scheme(m["scheme"], path+".scheme"); k.scheme == "" {
		k.scheme = "http"
	}
	k.apiPath = r.path(m["apiPath"], path+".apiPath")
	k.health = r.health(m["health"], path+".health")
	return k, false
}

func (r *reader) port(n *yaml.Node, path string) port {
	m := r.mapping(n, path, portFields...)
	if m == nil {
		return port{}
	}
	if m["number"] == nil {
		r.bad(n, path, "has no number; add the port's, such as {number: 9090}")
	}
	return port{
		number:       r.number(m["number"], path+".number", 1, 65535),
		named:        r.texts(m["named"], path+".named", portNameProblem),
		scheme:       r.scheme(m["scheme"], path+".scheme"),
		apiPath:      r.path(m["apiPath"], path+".apiPath"),
		identifies:   r.boolean(m["identifies"], path+".identifies"),
		identifiedBy: r.texts(m["identifiedBy"], path+".identifiedBy", portNameProblem),
	}
}

// health reads how to check a kind; by default, a connection must be accepted.
func (r *reader) health(n *yaml.Node, path string) health {
	if n == nil {
		return health{probe: service.ProbeTCP}
	}
	m := r.mapping(n, path, healthFields...)
	h := health{
		probe: r.text(m["probe"], path+".probe"),
		path:  r.path(m["path"], path+".path"),
		port:  r.number(m["port"], path+".port", 1, 65535),
	}
	switch {
	case h.probe == "":
		h.probe = service.ProbeHTTP
	case h.probe != service.ProbeHTTP && h.probe != service.ProbeTCP:
		r.bad(m["probe"], path+".probe", "%s must be http or tcp", quoted(h.probe))
	}
	if m != nil && m["path"] == nil && (h.probe == service.ProbeHTTP || h.port != 0) {
		r.bad(n, path, "has no path; add what to GET, such as /-/healthy")
	}
	if m["front"] != nil {
		f := r.mapping(m["front"], path+".front", frontFields...)
		h.frontWords = r.texts(f["words"], path+".front.words", oneWordProblem)
		if h.frontPath = r.path(f["path"], path+".front.path"); f != nil && (f["words"] == nil || f["path"] == nil) {
			r.bad(m["front"], path+".front", "must have both words, such as [gateway], and the path to GET there")
		}
	}
	for i, s := range r.list(m["acceptStatus"], path+".acceptStatus", 20) {
		h.acceptStatus = append(h.acceptStatus, int(r.number(s, fmt.Sprintf("%s.acceptStatus[%d]", path, i), 100, 599)))
	}
	return h
}

func (r *reader) scheme(n *yaml.Node, path string) string {
	s := r.text(n, path)
	switch s {
	case "", "http", "https", "grpc", "tcp":
		return s
	}
	r.bad(n, path, "%s must be http, https, grpc or tcp", quoted(s))
	return ""
}

func (r *reader) path(n *yaml.Node, path string) string {
	s := r.text(n, path)
	if s == "" {
		return ""
	}
	if p := endpoint.PathProblem(s); p != "" {
		r.bad(n, path, "%s", p)
		return ""
	}
	return s
}

// wordProblem returns why s can't be a term: a word, or words joined by '-'; empty if it
// can.
func wordProblem(s string) string {
	words := termWords(s)
	if n := len(words); n == 0 || n > maxWords {
		return fmt.Sprintf("must be one to %d words joined by '-'", maxWords)
	}
	if words[0] == anyWord || words[len(words)-1] == anyWord {
		return "must neither begin nor end with '*'"
	}
	for part := range strings.SplitSeq(s, "-") {
		for i := range len(part) {
			if !isLowerAlnum(part[i]) && part != anyWord {
				return "must be lower case letters, digits and '-', or '*' for any one word"
			}
		}
	}
	return ""
}

// oneWordProblem is wordProblem for a single word.
func oneWordProblem(s string) string {
	var tokens [maxTokens]string
	if words := split(s, tokens[:0]); len(words) != 1 || words[0] != s {
		return "must be one word of lower case letters, such as gateway"
	}
	return ""
}

func labelKeyProblem(s string) string {
	if p := validation.IsQualifiedName(s); len(p) > 0 {
		return "must be the key of a Kubernetes label, such as prometheus or elasticsearch.k8s.elastic.co/cluster-name"
	}
	return ""
}

func portNameProblem(s string) string {
	if !endpoint.IsLabel(s) || strings.Contains(s, "--") {
		return "must be the name of a Service's port: lower case letters, digits and '-'"
	}
	return ""
}
