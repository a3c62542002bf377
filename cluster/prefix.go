package cluster

import (
	"net/url"
	"regexp"
	"strings"
)

// prefixFlags are the flags by which back ends are told the path below which they answer;
// of one program, the first counts. isURL means that the path is that of a URL.
var prefixFlags = []struct {
	name  string
	isURL bool
}{
	{"web.route-prefix", false},    // Prometheus, Alertmanager, Thanos
	{"web.external-prefix", false}, // Thanos, without web.route-prefix
	{"web.external-url", true},     // Prometheus and Alertmanager, without web.route-prefix
	{"http.pathPrefix", false},     // VictoriaMetrics, VictoriaLogs
	{"server.path-prefix", false},  // Loki, Mimir, Tempo
	{"query.base-path", false},     // Jaeger
}

// PathPrefix returns the path below which the server in a container answers, such as
// "/prometheus", as its command, its arguments or its environment say; empty if they say
// nothing, or that it is the root. variable returns the value of a variable; empty if it has
// none here.
func PathPrefix(command, arguments []string, variable func(string) string) string {
	words := append(command[:len(command):len(command)], arguments...)
	for _, f := range prefixFlags {
		value, given := flagValue(words, f.name)
		switch {
		case !given:
		case f.isURL:
			return pathOf(value)
		default:
			return CleanPrefix(value)
		}
	}
	switch {
	case variable("GF_SERVER_SERVE_FROM_SUB_PATH") == "true": // Grafana
		return pathOf(variable("GF_SERVER_ROOT_URL"))
	case variable("SERVER_REWRITEBASEPATH") == "true": // Kibana
		return CleanPrefix(variable("SERVER_BASEPATH"))
	}
	return CleanPrefix(variable("QUERY_BASE_PATH")) // Jaeger
}

// flagValue returns the value of a flag among the words of a command, in any of its forms:
// --name=value, -name=value, --name value.
func flagValue(words []string, name string) (value string, given bool) {
	for i, word := range words {
		flag := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
		if flag == word {
			continue
		}
		if rest, ok := strings.CutPrefix(flag, name); ok {
			switch {
			case rest != "" && rest[0] == '=':
				value, given = rest[1:], true
			case rest == "" && i+1 < len(words):
				value, given = words[i+1], true
			}
		}
	}
	return value, given
}

// pathOf returns the path of a URL as a prefix.
func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "" // such as Grafana's own %(protocol)s
	}
	return CleanPrefix(u.Path)
}

// plainPath matches a path that is the same in a URL, in a configuration and on the wire.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,62}){1,8}$`)

// CleanPrefix returns a path as a prefix, with a slash before it and none after it; empty
// for the root, and for what can't be the path of a back end, such as a reference to a
// variable.
func CleanPrefix(path string) string {
	if path = strings.Trim(path, "/"); path == "" {
		return ""
	}
	if path = "/" + path; !plainPath.MatchString(path) {
		return ""
	}
	return path
}
