package config

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
)

// A Reading has the settings of commands that read the cluster once.
type Reading struct {
	Cluster   Cluster
	Discovery Discovery
	// Overrides is a file with the content of the ConfigMap's key overrides.yaml; empty
	// for none.
	Overrides string
	// Timeout bounds the time for reading the cluster.
	Timeout time.Duration
}

// Generate has the settings of the command generate. They are valid if they come from
// LoadGenerate.
type Generate struct {
	Reading
	// Namespace and Name are those of the ConfigMap that is printed.
	Namespace, Name string
	// Documents says which documents that has.
	Documents Documents
	// Format is one of the Format constants.
	Format    string
	HolmesGPT HolmesGPT
}

// Values of Generate.Format; those after the first also of Documents.Outputs.
const (
	FormatConfigMap       = "configmap"           // the manifest, for kubectl apply
	FormatKubernaut       = "kubernaut"           // toolset.json
	FormatHolmesGPT       = "holmesgpt"           // holmesgpt-toolsets.yaml
	FormatGrafana         = "grafana-datasources" // grafana-datasources.yaml
	FormatKubernautValues = "kubernaut-values"    // kubernaut-values.yaml
	FormatMCP             = "mcp"                 // mcp.json
	FormatKagent          = "kagent"              // kagent.yaml
)

// formats are those of single documents.
var formats = []string{FormatKubernaut, FormatHolmesGPT, FormatGrafana, FormatKubernautValues, FormatMCP, FormatKagent}

// readingShared lists the settings of the service that commands have too which read the
// cluster once, and generateShared those that generate has. A settings file and the
// environment may hold the others as well, so that those of a deployment can be used
// unchanged.
var (
	readingShared  = []string{"config", "manifests", "kubeconfig", "context", "namespaces", "cluster-domain", "rules", "workload-evidence"}
	generateShared = slices.Concat(readingShared, []string{"configmap-namespace", "configmap-name", "holmesgpt-leave-out", "holmesgpt-curl", "outputs", "own-url"})
)

const generateGroup = "Generate"

// LoadGenerate does for the command generate what Load does for the service.
func LoadGenerate(args []string, environ []string, usage io.Writer) (*Generate, error) {
	s, g := &Settings{}, &Generate{}
	l := newLoader(s, environ)
	addGenerateFlags(l.flags, g)
	if l.fromArgs(args) {
		generateUsage(usage)
		return nil, ErrHelp
	}
	l.refuseOthers("generate", generateShared, generateGroup)
	l.fromEnvironment()
	l.fromFile()
	l.validateGenerate(g)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	g.Cluster, g.Discovery, g.Namespace, g.Name, g.Documents = s.Cluster, s.Discovery, s.ConfigMap.Namespace, s.ConfigMap.Name, s.Documents
	g.HolmesGPT = s.HolmesGPT
	return g, nil
}

// refuseOthers adds a problem for each flag that a command has not.
func (l *loader) refuseOthers(command string, shared []string, group string) {
	for _, flag := range sortedNames(l.origin) {
		if strings.HasPrefix(l.origin[flag], "--") && !slices.Contains(shared, flag) && !ofGroup(l.flags, group, flag) {
			l.problem("--%s is a setting of the service, which does nothing for %s; remove it", flag, command)
		}
	}
}

func addGenerateFlags(f *flagSet, g *Generate) {
	f.begin(generateGroup, "What is printed.")
	f.StringVar(&g.Format, "format", FormatConfigMap, "`FORMAT` to print: configmap for the ConfigMap that the service would write, as a manifest with the documents of --outputs; or one document alone: "+strings.Join(formats, ", ")+".")
	addReadingFlags(f, &g.Reading)
	f.end()
}

// addReadingFlags adds the flags of commands that read the cluster once.
func addReadingFlags(f *flagSet, r *Reading) {
	f.StringVar(&r.Overrides, "overrides", "", "YAML `FILE` with what the key overrides.yaml of the ConfigMap would hold: toolsets that are switched off, changed or added; - for standard input. The ones in a cluster's ConfigMap are not read. Its form is in docs/outputs.md.")
	f.DurationVar(&r.Timeout, "timeout", seconds(30), "`DURATION` in which the cluster must have been read. Raise it for very large clusters.")
}

func (l *loader) validateGenerate(g *Generate) {
	l.validateReading(&g.Reading)
	l.validateHolmesGPT()
	c := l.settings.ConfigMap
	if wrong := validation.IsDNS1123Label(c.Namespace); len(wrong) > 0 {
		l.fail("configmap-namespace", "is %s, which can't be a namespace: use lower-case letters, digits and '-', at most 63", quote(c.Namespace))
	}
	if wrong := validation.IsDNS1123Subdomain(c.Name); len(wrong) > 0 {
		l.fail("configmap-name", "is %s, which can't be the name of a ConfigMap: use lower-case letters, digits, '-' and '.', at most 253", quote(c.Name))
	}
	l.validateDocuments()
	l.choice("format", g.Format, append([]string{FormatConfigMap}, formats...)...)
}

func (l *loader) validateReading(r *Reading) {
	l.validateCluster()
	if file := l.settings.Discovery.Rules; file != "" {
		l.file("rules", file)
	}
	if r.Overrides == "-" && l.settings.Cluster.Manifests == "-" {
		l.problem("%s and %s can't both be standard input; give a file for one of them", l.where("manifests"), l.where("overrides"))
	}
	if r.Overrides != "" && r.Overrides != "-" {
		l.file("overrides", r.Overrides)
	}
	l.duration("timeout", r.Timeout, 100*time.Millisecond, time.Hour)
}

const generateIntro = `Prints what the service would write, without a server, without health checks, and without touching the cluster: for a
repository that is applied by GitOps, for CI, and to see what becomes of manifests or overrides before they are applied. The output
depends on nothing but the input. Of several back ends of a type, the primary is the one that an administrator or an annotation
names; else one that is there for the whole cluster, a query front end, the oldest, in this order. The service also looks at their
health.`

const generateExamples = `
  dynamic-toolset generate --manifests DIR
  dynamic-toolset generate --kubeconfig ~/.kube/config --context staging --format holmesgpt
  dynamic-toolset generate --manifests DIR --overrides overrides.yaml | kubectl apply --server-side -f -
  dynamic-toolset generate --manifests DIR | diff - configmap.yaml      # in CI
  helm template my-release my-chart | dynamic-toolset generate --manifests -
  kubectl -n kubernaut-system get configmap kubernaut-toolset-config -o jsonpath='{.data.overrides\.yaml}' |
    dynamic-toolset generate --kubeconfig ~/.kube/config --overrides -  # with the overrides in force

Exit codes: 0 printed, 1 something can't be read or is wrong, 2 wrong settings.
Problems with annotations, and overrides that match no back end, are warnings on
standard error.
`

func generateUsage(w io.Writer) {
	f := newFlags(&Settings{})
	addGenerateFlags(f, &Generate{})
	commandUsage(w, f, generateIntro, generateExamples, generateShared, generateGroup)
}

// commandUsage writes the help of a command that shares some settings with the service.
func commandUsage(w io.Writer, f *flagSet, intro, examples string, shared []string, group string) {
	var b strings.Builder
	wrap(&b, "", intro)
	b.WriteString(examples)
	for _, g := range f.groups {
		var flags []*pflag.Flag
		for _, flag := range g.flags {
			if g.name == group || slices.Contains(shared, flag.Name) {
				flags = append(flags, flag)
			}
		}
		if len(flags) > 0 {
			writeGroup(&b, g.name, "", flags)
		}
	}
	_, _ = io.WriteString(w, b.String()) // nothing to do about a closed standard output
}

// ofGroup reports whether flag belongs to the group with this name.
func ofGroup(f *flagSet, name, flag string) bool {
	i := slices.IndexFunc(f.groups, func(g *group) bool { return g.name == name })
	return i >= 0 && slices.ContainsFunc(f.groups[i].flags, func(p *pflag.Flag) bool { return p.Name == flag })
}

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
