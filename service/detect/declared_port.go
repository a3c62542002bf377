package detect

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// mostHTTP chooses the port of a Service that is declared without an endpoint: the one with
// most httpPoints, or the first of several. A Service without a TCP port has none.
func mostHTTP(svc *corev1.Service) choice { return most(svc, httpPoints) }

// ofOwnProtocol chooses the port of a Service that is declared to be a server with a
// protocol of its own, such as a database.
func ofOwnProtocol(svc *corev1.Service) choice {
	return most(svc, func(p *corev1.ServicePort) int {
		if speaks := ownProtocol(p); speaks != unknown {
			return 32 * int(speaks)
		}
		return min(httpPoints(p), 0) // rather no port of metrics or probes
	})
}

// most chooses the TCP port with most points, or the first of several.
func most(svc *corev1.Service, points func(*corev1.ServicePort) int) choice {
	var best choice
	most := 0
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.Protocol == corev1.ProtocolUDP || p.Protocol == corev1.ProtocolSCTP || p.Port < 1 || p.Port > 65535 {
			continue
		}
		if n := points(p); best.port == nil || n > most {
			best, most = choice{fit: fitCommon, port: p, number: reachable(svc, p)}, n
		}
	}
	return best
}

// httpPoints says how likely it is that p is the port of an HTTP API. A port gets 8 points
// if appProtocol or a word of its name says so, 2 for a number that web servers use, minus
// 4 if it serves probes or metrics, and minus 16 if it speaks another protocol.
func httpPoints(p *corev1.ServicePort) (points int) {
	if p.AppProtocol != nil {
		points += protocolPoints(strings.ToLower(*p.AppProtocol))
	} else {
		for word := range strings.SplitSeq(p.Name, "-") {
			points += protocolPoints(word)
		}
	}
	switch p.Port {
	case 80, 443, 3000, 5000, 8000, 8080, 8081, 8443, 8888, 9000:
		points += 2
	}
	for word := range strings.SplitSeq(p.Name, "-") {
		switch word {
		case "metrics", "metric", "admin", "health", "healthz", "probe", "probes", "debug", "pprof", "telemetry", "monitoring", "profiling", "reloader":
			points -= 4
		}
	}
	return points
}

// A belief says whether a port speaks a protocol of its own, rather than HTTP.
type belief int

const (
	no      belief = -1
	unknown belief = 0
	yes     belief = 1
)

// ownProtocol says what appProtocol, the name and the number of a port say about that.
func ownProtocol(p *corev1.ServicePort) belief {
	words := strings.Split(p.Name, "-")
	if p.AppProtocol != nil {
		words = []string{strings.ToLower(*p.AppProtocol)}
	}
	belief := unknown
	if endpoint.IsOwnPort(strconv.Itoa(int(p.Port))) || endpoint.IsOwnPort(strconv.Itoa(int(targetNumber(p)))) {
		belief = yes
	}
	for _, word := range words {
		switch {
		case protocolPoints(word) > 0 || strings.HasPrefix(word, "grpc"): // gRPC is HTTP/2
			return no
		case protocolPoints(word) < 0 && word != "tcp": // a port of HTTP may be called so, too
			belief = yes
		}
	}
	return belief
}

func protocolPoints(word string) int {
	switch word {
	case "http", "https", "web", "api", "rest", "ui", "http2", "query":
		return 8
	case "grpc", "grpcs", "tcp", "udp", "amqp", "amqps", "redis", "mysql", "postgres", "postgresql", "mongo", "mongodb", "kafka",
		"gossip", "memberlist", "transport", "thrift", "syslog", "smtp", "ldap", "ssh", "epmd", "raft", "statsd":
		return -16
	}
	return 0
}

// describe returns the port as text for people.
func (c *choice) describe() string {
	s := strconv.Itoa(int(c.port.Port))
	if c.port.Name != "" {
		s += " (" + c.port.Name + ")"
	}
	if t := c.port.TargetPort.String(); t != "0" && t != "" && t != strconv.Itoa(int(c.port.Port)) {
		s += " to " + t
	}
	return s
}
