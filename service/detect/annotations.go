package detect

import (
	"maps"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// The annotations by which the owner of a Service declares it a back end, corrects what the
// rules have found, or switches the Service off.
const (
	annotationPrefix = "kubernaut.io/"

	AnnotationToolset        = annotationPrefix + "toolset"             // true, enabled, false or disabled
	AnnotationType           = annotationPrefix + "toolset-type"        // a kind of the rules, or any other; default custom
	AnnotationName           = annotationPrefix + "toolset-name"        // default: the name of the Service
	AnnotationEndpoint       = annotationPrefix + "toolset-endpoint"    // http or https URL
	AnnotationHealthPath     = annotationPrefix + "toolset-health-path" // path below the endpoint
	AnnotationHealthEndpoint = annotationPrefix + "health-endpoint"     // path or URL; the health path takes precedence
	AnnotationPrimary        = annotationPrefix + "toolset-primary"     // true or false
	AnnotationDescription    = annotationPrefix + "toolset-description" // one sentence for the agent
	// How agents connect. Credentials, headers and files are for overrides alone: whoever may
	// annotate a Service must not choose which variables of an agent are sent to it.
	AnnotationTenant      = annotationPrefix + "toolset-tenant"       // X-Scope-OrgID
	AnnotationTLSVerify   = annotationPrefix + "toolset-tls-verify"   // true or false
	AnnotationExternalURL = annotationPrefix + "toolset-external-url" // http or https URL, for people
)

const maxDescription = 500 // bytes of a description in an annotation

// A declaration is the valid content of a Service's annotations.
type declaration struct {
	on, off     bool // switched on or off explicitly
	any         bool // there is an annotation besides AnnotationToolset, valid or not
	connection  bool // typ, endpoint and health are valid, or absent
	valid       bool // all annotations are valid
	typ         string
	name        string
	endpoint    string
	health      string // a path, or a URL
	primary     bool
	description string
	agents      service.Connection
	problems    []Problem
}

// declared reads the annotations of a Service.
func declared(annotations map[string]string) declaration {
	d := declaration{connection: true, valid: true}
	for k, v := range annotations {
		if strings.HasPrefix(k, annotationPrefix) {
			d.read(k, v, annotations)
		}
	}
	slices.SortFunc(d.problems, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	return d
}

func (d *declaration) read(k, v string, all map[string]string) {
	switch k {
	case AnnotationToolset:
		switch v {
		case "true", "enabled":
			d.on = true
		case "false", "disabled":
			d.off = true
		default:
			d.problem(k, "must be \"true\" or \"enabled\" to declare a toolset, \"false\" or \"disabled\" to switch it off")
		}
		return
	case AnnotationType:
		if d.typ = v; !endpoint.IsLabel(v) {
			d.typ = ""
			d.connectionProblem(k, "must be lower case letters, digits and '-', beginning and ending with a letter or digit, at most 63 characters, such as \"prometheus\"")
		}
	case AnnotationName:
		if d.name = v; !endpoint.IsSubdomain(v) {
			d.name = ""
			d.problem(k, "must be lower case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters")
		}
	case AnnotationEndpoint:
		var p string
		if d.endpoint, p = endpoint.Parse(v); p != "" {
			d.connectionProblem(k, p)
		}
	case AnnotationHealthPath:
		if p := endpoint.PathProblem(v); p != "" {
			d.connectionProblem(k, p)
		} else {
			d.health = v
		}
	case AnnotationHealthEndpoint:
		d.readHealthEndpoint(k, v, all)
	case AnnotationPrimary:
		switch v {
		case "true", "false":
			d.primary = v == "true"
		default:
			d.problem(k, "must be \"true\" or \"false\"")
		}
	case AnnotationDescription:
		if d.description = v; v == "" || len(v) > maxDescription || !endpoint.IsLine(v) {
			d.description = ""
			d.problem(k, "must be one line of text of at most 500 bytes, without control characters")
		}
	case AnnotationTenant:
		if p := endpoint.TenantProblem(v); p != "" {
			d.problem(k, p)
		} else {
			d.agents.Tenant = v
		}
	case AnnotationTLSVerify:
		switch v {
		case "true", "false":
			skip := v == "false"
			d.agents.SkipVerify = &skip
		default:
			d.problem(k, "must be \"true\" or \"false\"")
		}
	case AnnotationExternalURL:
		var p string
		if d.agents.ExternalURL, p = endpoint.Parse(v); p != "" {
			d.problem(k, p)
		}
	default:
		return // of another program, or of a later version
	}
	d.any = true
}

func (d *declaration) readHealthEndpoint(k, v string, all map[string]string) {
	var value, problem string
	if !strings.HasPrefix(v, "/") {
		value, problem = endpoint.Parse(v)
		if problem == "" && strings.HasSuffix(v, "/") && !strings.HasSuffix(value, "/") {
			value += "/" // it is an address here, not a prefix
		}
	} else {
		value, problem = v, endpoint.PathProblem(v)
	}
	if problem != "" {
		d.connectionProblem(k, problem)
	} else if _, ok := all[AnnotationHealthPath]; !ok {
		d.health = value
	}
}

// connectionForAgents returns what the annotations say about it; nil if they say nothing.
func (d *declaration) connectionForAgents() *service.Connection {
	c := d.agents
	if c.Equal(&service.Connection{}) {
		return nil
	}
	return &c
}

func (d *declaration) problem(field, message string) {
	d.valid = false
	d.problems = append(d.problems, Problem{field, message})
}

// connectionProblem records a problem with one of the values that depend on each other:
// with a wrong type, even a right endpoint would be used in the wrong way.
func (d *declaration) connectionProblem(field, message string) {
	d.connection = false
	d.problem(field, message)
}

// own returns the annotations under kubernaut.io/; nil if there are none.
func own(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	maps.DeleteFunc(out, func(k, _ string) bool { return !strings.HasPrefix(k, annotationPrefix) })
	if len(out) == 0 {
		return nil
	}
	return out
}
