package config

import (
	"io"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/suggest"
)

// Explain has the settings of the command explain. They are valid if they come from
// LoadExplain.
type Explain struct {
	Reading
	// Namespace and Name are those of the Service to explain.
	Namespace, Name string
	// Output is OutputText or OutputJSON.
	Output string
}

// Values of Explain.Output.
const (
	OutputText = "text"
	OutputJSON = "json" // the same document as that of the HTTP API
)

const explainGroup = "Explain"

// LoadExplain does for the command explain what Load does for the service. One of args is
// the Service, as NAMESPACE/NAME.
func LoadExplain(args []string, environ []string, usage io.Writer) (*Explain, error) {
	s, e := &Settings{}, &Explain{}
	l := newLoader(s, environ)
	l.operands = []string{}
	addExplainFlags(l.flags, e)
	if l.fromArgs(args) {
		explainUsage(usage)
		return nil, ErrHelp
	}
	l.refuseOthers("explain", readingShared, explainGroup)
	l.fromEnvironment()
	l.fromFile()
	l.validateExplain(e)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	e.Cluster, e.Discovery = s.Cluster, s.Discovery
	return e, nil
}

func addExplainFlags(f *flagSet, e *Explain) {
	f.begin(explainGroup, "What is printed.")
	f.StringVar(&e.Output, "output", OutputText, "`FORM` of the answer: text for people; json for programs, the same document as that of GET /api/v1/services/{namespace}/{name}/explain.")
	addReadingFlags(f, &e.Reading)
	f.end()
}

func (l *loader) validateExplain(e *Explain) {
	l.validateReading(&e.Reading)
	l.choice("output", e.Output, OutputText, OutputJSON)
	const form = "name the Service to explain as NAMESPACE/NAME, such as monitoring/prometheus"
	switch len(l.operands) {
	case 0:
		l.problem("no Service is named; %s", form)
		return
	case 1:
	default:
		l.problem("%d Services are named, %s; %s", len(l.operands), quote(strings.Join(l.operands, " ")), form)
		return
	}
	var ok bool
	// kubectl prints service/NAME, and people copy that.
	if e.Namespace, e.Name, ok = strings.Cut(l.operands[0], "/"); !ok || e.Namespace == "" || e.Name == "" || strings.Contains(e.Name, "/") {
		l.problem("%s is not a Service; %s", quote(l.operands[0]), form)
	} else if near := suggest.Of(e.Namespace, []string{"service", "services", "svc"}); near == e.Namespace {
		l.problem("%s has no namespace; %s", quote(l.operands[0]), form)
	}
}

const explainIntro = `Says why a Service is a toolset or not: which rules were considered, what spoke for and against each, which port was
chosen, what its annotations and the overrides do, whether it is an alias of another Service, which is the primary of its type, and
what would change the answer, as commands to copy. It reads the cluster once, without a server, without health checks, and without
touching the cluster. A running service answers the same at GET /api/v1/services/{namespace}/{name}/explain, and knows more: the health,
what back ends have said themselves, and the overrides in force.`

const explainExamples = `
  dynamic-toolset explain --manifests DIR monitoring/prometheus
  dynamic-toolset explain --kubeconfig ~/.kube/config --context staging monitoring/prometheus
  dynamic-toolset explain --manifests DIR --output json monitoring/prometheus | jq .outcome
  kubectl -n kubernaut-system get configmap kubernaut-toolset-config -o jsonpath='{.data.overrides\.yaml}' |
    dynamic-toolset explain --kubeconfig ~/.kube/config --overrides - monitoring/prometheus

Exit codes: 0 printed, whether the Service is a toolset or not; 1 there is no such
Service, or something can't be read or is wrong; 2 wrong settings. Manifests that
can't be used are warnings on standard error.
`

func explainUsage(w io.Writer) {
	f := newFlags(&Settings{})
	addExplainFlags(f, &Explain{})
	commandUsage(w, f, explainIntro, explainExamples, readingShared, explainGroup)
}
