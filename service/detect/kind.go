package detect

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
	"kubernaut.io/dynamic-toolset/service/identity"
	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// A kind is one kind of back end. rules.yaml explains the fields.
type kind struct {
	id           int16 // index in Rules.kinds
	typ          string
	description  string
	names        []string
	weakNames    []string
	selectorKeys []string
	appProtocols []string // of a port, which declare it without a name
	labels       []label  // of the Service, which do the same
	tlsKeys      []string
	images       []string
	imagesRun    imagesRun
	except       []string
	exceptPorts  []int32
	allow        []string
	ports        []port
	portNames    []string
	commonPorts  bool
	scheme       string
	apiPath      string
	health       health
	identity     *identity.Rule // nil if it can't prove itself
}

// A label is a key and its value.
type label struct{ key, value string }

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
	kindFields = []string{"type", "disabled", "description", "names", "weakNames", "selectorKeys", "appProtocols", "labels", "tlsKeys", "images", "imagesRun", "except", "exceptPorts", "allow",
		"ports", "portNames", "commonPorts", "scheme", "apiPath", "health", "identity"}
	portFields   = []string{"number", "named", "scheme", "apiPath", "identifies", "identifiedBy"}
	healthFields = []string{"probe", "path", "port", "acceptStatus", "front"}
	frontFields  = []string{"words", "path"}
)

// readKind reads one kind; off means that it only disables a built-in one. The result is not
// used if there are errors.
func readKind(v strictyaml.Value) (k *kind, off bool) {
	m, ok := v.Mapping(kindFields...)
	if !ok {
		return nil, false
	}
	typ := m.Get("type")
	k = &kind{typ: typ.Text()}
	switch {
	case !typ.Given():
		m.Bad(`has no type; add one, such as "type: prometheus"`)
	case k.typ != "" && !endpoint.IsLabel(k.typ):
		typ.Bad("%s must be lower case letters, digits and '-', at most 63 characters", strictyaml.Quote(k.typ))
		k.typ = ""
	case k.typ == customType:
		typ.Bad("%s is for Services that only annotations declare; choose another", strictyaml.Quote(k.typ))
		k.typ = ""
	case k.typ != "":
		m = m.Called(k.typ)
	}
	if m.Get("disabled").IsTrue() {
		if m.Len() > 2 {
			m.Bad("is disabled, so it must have no fields but type and disabled; remove the others, or remove disabled")
		}
		return k, true
	}
	if k.description = m.Get("description").Text(); !m.Has("description") {
		m.Bad("has no description; add one sentence that tells an agent what it can ask this back end")
	}
	k.names = m.Get("names").Texts(maxListItems, wordProblem)
	k.weakNames = m.Get("weakNames").Texts(maxListItems, wordProblem)
	k.except = m.Get("except").Texts(maxListItems, wordProblem)
	for _, p := range m.Get("exceptPorts").List(maxListItems) {
		k.exceptPorts = append(k.exceptPorts, p.Number(1, 65535))
	}
	k.allow = m.Get("allow").Texts(maxListItems, wordProblem)
	k.portNames = m.Get("portNames").Texts(maxListItems, portNameProblem)
	k.selectorKeys = m.Get("selectorKeys").Texts(maxListItems, labelKeyProblem)
	k.tlsKeys = m.Get("tlsKeys").Texts(maxListItems, labelKeyProblem)
	k.images = m.Get("images").Texts(maxListItems, imageNameProblem)
	k.imagesRun = readImagesRun(m.Get("imagesRun"))
	k.appProtocols = m.Get("appProtocols").Texts(maxListItems, appProtocolProblem)
	k.labels = readLabels(m.Get("labels"))
	declarable := len(k.appProtocols)+len(k.labels) > 0
	if !m.Has("names") && !declarable {
		m.Bad("has no names; add what Services, labels and selectors call it, such as [%s]", k.typ)
	}
	for _, p := range m.Get("ports").List(maxListItems) {
		k.ports = append(k.ports, readPort(p))
	}
	if len(k.ports) == 0 && !declarable {
		m.Bad("has no ports; add those at which it answers queries, best first, such as [{number: 9090}]")
	}
	k.commonPorts = m.Get("commonPorts").IsTrue()
	k.scheme = cmp.Or(readScheme(m.Get("scheme")), "http")
	k.apiPath = readPath(m.Get("apiPath"))
	k.health = readHealth(m.Get("health"))
	k.identity = readIdentity(m.Get("identity"), k.typ)
	return k, false
}

// readLabels reads labels and the value that each must have.
func readLabels(v strictyaml.Value) (out []label) {
	if !v.Given() {
		return nil
	}
	m, ok := v.MappingOfNames(labelKeyProblem)
	if !ok {
		return nil
	}
	for _, key := range m.Keys() {
		value := m.Get(key)
		if text := value.Text(); len(validation.IsValidLabelValue(text)) > 0 {
			value.Bad("must be the value of a Kubernetes label, in quotes if it is true or a number")
		} else {
			out = append(out, label{key, text})
		}
	}
	return out
}

func readPort(v strictyaml.Value) port {
	m, ok := v.Mapping(portFields...)
	if !ok {
		return port{}
	}
	if !m.Has("number") {
		m.Bad("has no number; add the port's, such as {number: 9090}")
	}
	return port{
		number:       m.Get("number").Number(1, 65535),
		named:        m.Get("named").Texts(maxListItems, portNameProblem),
		scheme:       readScheme(m.Get("scheme")),
		apiPath:      readPath(m.Get("apiPath")),
		identifies:   m.Get("identifies").IsTrue(),
		identifiedBy: m.Get("identifiedBy").Texts(maxListItems, portNameProblem),
	}
}

// readHealth reads how to probe; without any, a TCP connection must do.
func readHealth(v strictyaml.Value) health {
	if !v.Given() {
		return health{probe: service.ProbeTCP}
	}
	m, ok := v.Mapping(healthFields...)
	if !ok {
		return health{}
	}
	probe := m.Get("probe")
	h := health{
		probe: cmp.Or(probe.Text(), service.ProbeHTTP),
		path:  readPath(m.Get("path")),
		port:  m.Get("port").Number(1, 65535),
	}
	if h.probe != service.ProbeHTTP && h.probe != service.ProbeTCP {
		probe.Bad("%s must be http or tcp", strictyaml.Quote(h.probe))
	}
	if !m.Has("path") && (h.probe == service.ProbeHTTP || h.port != 0) {
		m.Bad("has no path; add what to GET, such as /-/healthy")
	}
	if m.Has("front") {
		f, ok := m.Get("front").Mapping(frontFields...)
		h.frontWords = f.Get("words").Texts(maxListItems, oneWordProblem)
		if h.frontPath = readPath(f.Get("path")); ok && !(f.Has("words") && f.Has("path")) {
			f.Bad("must have both words, such as [gateway], and the path to GET there")
		}
	}
	for _, s := range m.Get("acceptStatus").List(20) {
		h.acceptStatus = append(h.acceptStatus, int(s.Number(100, 599)))
	}
	return h
}

func readImagesRun(v strictyaml.Value) imagesRun {
	switch s := v.Text(); s {
	case "":
	case "parts":
		return runParts
	case "programs":
		return runPrograms
	default:
		v.Bad("%s must be parts or programs", strictyaml.Quote(s))
	}
	return runOne
}

func readScheme(v strictyaml.Value) string {
	s := v.Text()
	switch s {
	case "", "http", "https", "grpc", "tcp":
		return s
	}
	v.Bad("%s must be http, https, grpc or tcp", strictyaml.Quote(s))
	return ""
}

func readPath(v strictyaml.Value) string {
	s := v.Text()
	if s == "" {
		return ""
	}
	if p := endpoint.PathProblem(s); p != "" {
		v.Bad("%s", p)
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

func appProtocolProblem(s string) string {
	if p := validation.IsQualifiedName(s); len(p) > 0 {
		return "must be the appProtocol of a Service's port, such as mcp or kgateway.dev/mcp"
	}
	return ""
}

func portNameProblem(s string) string {
	if !endpoint.IsLabel(s) || strings.Contains(s, "--") {
		return "must be the name of a Service's port: lower case letters, digits and '-'"
	}
	return ""
}
