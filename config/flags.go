package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// envPrefix starts the name of every environment variable.
const envPrefix = "TOOLSET_"

// A group is a section of the help.
type group struct {
	name  string
	intro string
	flags []*pflag.Flag
}

// A flagSet holds the settings as flags, in the order of the help.
type flagSet struct {
	*pflag.FlagSet
	groups []*group
	// Raw values that validation converts to other types.
	namespaces, cidrs []string
	leaveOut          []string
	auth, dnsServer   string
}

// envName returns the name of the environment variable for a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// begin starts a new group.
func (f *flagSet) begin(name, intro string) {
	f.groups = append(f.groups, &group{name: name, intro: intro})
}

// end adds the flags that were defined since the last begin to its group.
func (f *flagSet) end() {
	known := 0
	for _, g := range f.groups {
		known += len(g.flags)
	}
	g, i := f.groups[len(f.groups)-1], 0
	f.VisitAll(func(flag *pflag.Flag) { // in the order in which they were defined
		if i++; i > known {
			g.flags = append(g.flags, flag)
		}
	})
}

// newFlags returns the flags, bound to s, and sets s to the defaults.
// docs/configuration.md has the same help texts.
func newFlags(s *Settings) *flagSet {
	f := &flagSet{FlagSet: pflag.NewFlagSet("serve", pflag.ContinueOnError)}
	f.SortFlags = false

	f.begin("Cluster", "Where the back ends are found. Choose one of --manifests and --kubeconfig; with neither, the service must run inside a cluster.")
	f.StringVar(&s.File, "config", "", "YAML `FILE` with settings: the keys are the names of the flags without the leading dashes. Use it to keep the settings of a deployment in one place; flags and environment variables override it.")
	f.StringVar(&s.Cluster.Manifests, "manifests", "", "`PATH` of a folder with manifests (YAML or JSON), or of a single file, to watch instead of a cluster; - for standard input, which is read once. Use it to try the service without a cluster, or to see what it finds in manifests before they are applied.")
	f.StringVar(&s.Cluster.Kubeconfig, "kubeconfig", "", "kubeconfig `FILE` of the cluster to watch. Use it to run the service outside of its cluster. $KUBECONFIG and ~/.kube/config are not used unless named here, so that no cluster is watched by accident.")
	f.StringVar(&s.Cluster.Context, "context", "", "context `NAME` in the --kubeconfig file. Set it when the file's current context is not the one to watch.")
	f.StringSliceVar(&f.namespaces, "namespaces", nil, "`NAMESPACES` to watch, separated by commas; empty for all. Set it where the service account may not list Services in the whole cluster.")
	f.StringVar(&s.Cluster.Domain, "cluster-domain", "cluster.local", "DNS `DOMAIN` of the cluster, the end of the endpoints' names. Change it if the cluster uses another one (kubelet's clusterDomain).")
	f.DurationVar(&s.Cluster.UnavailableGrace, "kubernetes-unavailable-grace", 0, "`DURATION` for which the Kubernetes API may be unreachable before readiness fails; lookups are answered from the last known state all the same. Raise it so that an outage of the API does not take all replicas out of service at once.")
	f.DurationVar(&s.Cluster.Resync, "resync", minutes(5), "`DURATION` between two full lists of the cluster's Services. They are a safety net: changes arrive at once, by a watch. Raise it in clusters with very many Services.")
	f.end()

	f.begin("HTTP", "Where the service listens, and how long it waits for clients.")
	f.StringVar(&s.HTTP.Listen, "listen", ":8080", "`ADDRESS` (host:port) of the API and the probes. Without a host: all addresses of the machine. Port 0 chooses a free one.")
	f.StringVar(&s.HTTP.MetricsListen, "metrics-listen", ":9090", "`ADDRESS` (host:port) of /metrics. It must differ from --listen, so that metrics are not published along with the API.")
	f.StringVar(&s.HTTP.TLSCertFile, "tls-cert-file", "", "PEM `FILE` with the certificate of the server, followed by the intermediate ones. Set it, and --tls-key-file, to serve HTTPS instead of HTTP on both ports, --listen and --metrics-listen. A change of the files takes effect within seconds.")
	f.StringVar(&s.HTTP.TLSKeyFile, "tls-key-file", "", "PEM `FILE` with the private key of that certificate, not encrypted. Set it together with --tls-cert-file.")
	f.StringVar(&s.HTTP.ServedBy, "served-by", "", "`NAME` of this instance, sent with every response as X-Served-By; empty for no such header. Set it to the pod's name, as deploy/ does, to see which replica answered.")
	f.DurationVar(&s.HTTP.ReadTimeout, "read-timeout", seconds(10), "`DURATION` in which a client must send its request; before it, a TLS handshake may take as long. Raise it for clients on slow links; lower it to get rid of slow ones sooner.")
	f.DurationVar(&s.HTTP.WriteTimeout, "write-timeout", seconds(10), "`DURATION` in which a client must receive its response, or each event of an event stream. Raise it for clients on slow links.")
	f.DurationVar(&s.HTTP.IdleTimeout, "idle-timeout", minutes(2), "`DURATION` after which a kept-alive connection without requests is closed. Set it above the idle timeout of a load balancer in front, so that it is the balancer that closes.")
	f.DurationVar(&s.HTTP.MaxConnectionAge, "max-connection-age", minutes(5), "`DURATION` after which a kept-alive connection is closed with its next response, varied by 10 %; 0 for never. It lets clients find new replicas: lower it when load stays on old ones after scaling out.")
	f.StringVar((*string)(&s.HTTP.EventLoop), "event-loop", string(EventLoopAuto), "`WHO` has the connections between requests. auto: on Linux, without TLS, event loops, which also answer plain lookups at once; off: a goroutine for each connection in use. The answers are the same.")
	f.BoolVar(&s.HTTP.Pprof, "pprof", false, "serve profiles of this process below /debug/pprof/ on --metrics-listen, for go tool pprof. Switch it on to find where time or memory goes; with --auth-metrics callers need a right to it. See docs/operations.md.")
	f.end()

	f.accessFlags(&s.Access)

	f.begin("Discovery", "How back ends are recognised.")
	f.StringVar(&s.Discovery.Rules, "rules", "", "YAML `FILE` with recognition rules in addition to the built-in ones. Use it for back ends that are not recognised and can't be annotated.")
	f.StringVar((*string)(&s.Discovery.Identify), "identify", string(IdentifyCandidates), "`WHICH` Services are asked who they are, by read-only requests without credentials: recognised, those that a rule recognises; candidates, also those with a weak sign of being a back end, such as its port number, which are listed only if they prove it; off, none. Switch it off where such requests are not wanted. --health-checks=false switches it off, too. See docs/identity.md.")
	f.IntVar(&s.Discovery.CandidatesPerMinute, "identify-candidates-per-minute", 60, "`NUMBER` of candidates that are asked in a minute at most. Raise it in large clusters to find unlabelled back ends sooner after a start.")
	f.BoolVar(&s.Discovery.WorkloadEvidence, "workload-evidence", false, "also watch the Deployments, StatefulSets and DaemonSets of the cluster, since the images of their pods say more than labels and names. Switch it on, and grant the rights (deploy/components/workload-evidence), to find back ends that no label betrays. With --manifests those among them are always read.")
	f.end()

	f.begin("Health", "How the back ends are checked.")
	f.BoolVar(&s.Health.Enabled, "health-checks", true, "check the health of the back ends. Switch it off where network policies forbid calling them; all toolsets are listed as not checked then.")
	f.DurationVar(&s.Health.Interval, "health-interval", seconds(30), "`DURATION` between two checks of one back end. Lower it to notice failures sooner, raise it to call less.")
	f.DurationVar(&s.Health.Timeout, "health-timeout", seconds(5), "`DURATION` in which a back end must answer one attempt. Raise it for back ends that are slow but healthy.")
	f.IntVar(&s.Health.Attempts, "health-attempts", 3, "`NUMBER` of attempts before a back end counts as unhealthy, with growing pauses between them. Raise it where the network loses packets.")
	f.IntVar(&s.Health.Concurrency, "health-concurrency", 512, "`NUMBER` of attempts under way at once; back ends that are slow or hang get at most half of them. Raise it when more than 1,500 hang and their recovery is noticed late; lower it to open fewer connections at once.")
	f.StringVar(&s.Health.CAFile, "health-ca-file", "", "PEM `FILE` with CA certificates to trust in health checks, besides the system's. Set it when https back ends have certificates of a private CA.")
	f.BoolVar(&s.Health.InsecureSkipTLSVerify, "health-insecure-skip-tls-verify", false, "accept any certificate in health checks. A last resort for self-signed certificates, as anyone can then answer in a back end's place. Prefer --health-ca-file.")
	f.StringSliceVar(&f.cidrs, "allow-endpoint-cidrs", nil, "`CIDRS` that health checks and identification may call although they are refused by default, separated by commas. Loopback, link-local, multicast and cloud metadata addresses are refused, as whoever may annotate a Service could direct checks to them. Set it to 127.0.0.0/8 to try the service with back ends on your own machine.")
	f.StringVar(&f.dnsServer, "dns-server", "", "`ADDRESS` (IP:port) of the DNS server that resolves the names of the back ends for health checks and identification, in place of the system's; /etc/hosts still has precedence. Set it to the cluster's DNS when the service runs outside of the cluster, on a machine that can reach its Services.")
	f.end()

	f.begin("ConfigMap", "Where the generated documents are published for clients that read ConfigMaps.")
	f.BoolVar(&s.ConfigMap.Enabled, "configmap-enabled", true, "write the documents for agents to a ConfigMap, and apply the overrides in it; not possible with --manifests. Switch it off when nobody reads it: then the service needs no permission to write, and there are no overrides.")
	f.StringVar(&s.ConfigMap.Namespace, "configmap-namespace", "kubernaut-system", "`NAMESPACE` of the ConfigMap and of the lease by which replicas agree on who writes it. Set it to the namespace in which the service is installed.")
	f.StringVar(&s.ConfigMap.Name, "configmap-name", DefaultConfigMap, "`NAME` of the ConfigMap. Change it to run two installations in one namespace.")
	f.BoolVar(&s.ConfigMap.LeaderElection, "leader-election", true, "elect, by a lease, the one replica that writes the ConfigMap; the others only read it. Switch it off only where there is never more than one replica, to do without rights on leases.")
	f.StringVar(&s.ConfigMap.Lease, "leader-election-lease", DefaultLease, "`NAME` of that lease, in the namespace of the ConfigMap. Change it together with --configmap-name to run two installations in one namespace.")
	f.StringSliceVar(&s.Documents.Outputs, "outputs", []string{FormatHolmesGPT, FormatKubernaut}, "`FORMATS` of the generated documents, separated by commas: "+strings.Join(formats, ", ")+". Each is a key of the ConfigMap. Name those that somebody loads. See docs/outputs.md.")
	f.StringVar(&s.Documents.OwnURL, "own-url", "", "`URL` at which agents reach this service, such as http://dynamic-toolset.kubernaut-system.svc.cluster.local:8080; empty to leave it out. Set it to have this service itself, as an MCP server, in the documents of MCP servers (mcp, kagent).")
	f.StringVar(&s.ConfigMap.Write, "write-configmap", "", "`FILE` to write the ConfigMap to with --manifests, - for standard output. Use it to see what the service would write, or to apply it yourself.")
	f.end()

	f.begin("HolmesGPT", "What is in the document for HolmesGPT (holmesgpt-toolsets.yaml), and how it learns of changes.")
	f.StringSliceVar(&f.leaveOut, "holmesgpt-leave-out", nil, "`NAMES` of built-in toolsets of HolmesGPT that the document does not configure, separated by commas, such as prometheus/metrics. Set it for those that you configure yourself: otherwise an entry of the document replaces yours.")
	f.BoolVar(&s.HolmesGPT.Curl, "holmesgpt-curl", false, "write the document for HolmesGPT releases before June 2026, which have one back end for each built-in toolset: all others, and custom back ends, become curl commands. It costs an agent more tools.")
	f.StringVar(&s.HolmesGPT.ReloadURL, "holmesgpt-reload-url", "", "`URL` to POST to after the ConfigMap was written, such as http://holmes.holmes.svc/api/admin/reload/toolsets; empty for no call. Set it so that HolmesGPT (July 2026 and later) notices changed addresses at once; without it, it notices only new and removed toolsets.")
	f.DurationVar(&s.HolmesGPT.ReloadDelay, "holmesgpt-reload-delay", seconds(90), "`DURATION` between the write and that call. It must be longer than the time until the kubelet has updated the mounted ConfigMap, about a minute: lower it only where that is faster.")
	f.end()

	f.begin("Shutdown", "How the service stops without losing a request. terminationGracePeriodSeconds of the pod must be above the sum of both.")
	f.DurationVar(&s.Shutdown.PropagationDelay, "shutdown-propagation-delay", seconds(5), "`DURATION` for which requests are served as before after the signal to stop, while the nodes learn not to send any more here. Raise it when requests fail during rolling updates of a large cluster.")
	f.DurationVar(&s.Shutdown.DrainTimeout, "shutdown-drain-timeout", seconds(30), "`DURATION` in which the requests in flight must end after that. Raise it when the log says that the drain timed out.")
	f.end()

	f.begin("Limits", "How much clients can make the service use.")
	f.IntVar(&s.Limits.MaxConnections, "max-connections", 10_000, "`NUMBER` of open connections of all clients; further ones are answered with 503. Raise it, and the limit of open files (ulimit -n), for more clients.")
	s.Limits.MaxRequestBody, s.Limits.MaxHeaderBytes = 1<<20, 16<<10
	f.Var((*byteSize)(&s.Limits.MaxRequestBody), "max-request-body", "`SIZE` of the body of a request, in bytes or with a unit (KiB, MiB, kB, MB); larger ones are answered with 413. Raise it to validate larger documents.")
	f.Var((*byteSize)(&s.Limits.MaxHeaderBytes), "max-header-bytes", "`SIZE` of request line and headers together, in bytes or with a unit; larger ones are answered with 431. Raise it behind proxies that add large headers.")
	f.IntVar(&s.Limits.MaxWatchers, "max-watchers", 1000, "`NUMBER` of event streams (/api/v1/toolsets/watch) open at once; further ones are answered with 503. Raise it for more agents; 0 switches the streams off, and agents must poll.")
	f.end()

	f.begin("Logs", "What is logged, to standard error.")
	f.StringVar(&s.Logs.Level, "log-level", "info", "`LEVEL` at and above which to log: debug, info, warn or error. Use debug to see why a Service was or was not recognised.")
	f.StringVar(&s.Logs.Format, "log-format", "auto", "`FORMAT` of the log: json for log collectors, console for people, auto for console on a terminal and json elsewhere. Set it when auto chooses the wrong one.")
	f.end()
	return f
}
