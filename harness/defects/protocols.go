package defects

import (
	_ "embed" // for the manifest
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/selfsigned"
)

// A ProtocolCase is a variant of the server that speaks other protocols than HTTP/1.1.
type ProtocolCase struct {
	Case
	Speaks string // as the server's flag --speak takes it
}

// Protocols returns a right server of each protocol, and the defects of each.
func Protocols() []ProtocolCase {
	ended := []record.Outcome{record.EOFBefore, record.ResetBefore, record.EOFMid, record.ResetMid, record.StreamReset}
	slow := func(defect, about string) Case {
		return Case{
			Name: defect, About: about, Grace: ampleGrace, Checks: []string{verdict.RequestsID(record.Slow)},
			Losses: []Loss{{Class: record.Slow, By: ended}},
		}
	}
	var all []ProtocolCase
	for _, speaks := range []string{"https", "h2c", "h2", "grpc"} {
		all = append(all, ProtocolCase{Right(), speaks}, ProtocolCase{slow("cuts", "ends all connections without a word after the wait"), speaks})
		if speaks != "https" {
			all = append(all, ProtocolCase{slow("leaves", "says GOAWAY, and exits with what it promised unanswered"), speaks})
		}
	}
	return append(all, ProtocolCase{Right(), "websocket"}, ProtocolCase{Case{
		Name: "cuts", About: "ends all connections without a close frame", Grace: ampleGrace, Checks: []string{verdict.RequestsID(record.Stream)},
		Losses: []Loss{{Class: record.Stream, By: []record.Outcome{record.StreamBroken}}},
	}, "websocket"})
}

//go:embed polyglot.yaml
var polyglotTemplate string

const serverName = "polyglot.example"

// Polyglot returns the image of the server that speaks other protocols.
func (s *Subject) Polyglot() cluster.Image {
	return cluster.Image{
		Name:       "polyglot:devel",
		Files:      map[string]string{"/polyglot": s.polyglot, "/tls.crt": filepath.Join(s.dir, "tls.crt"), "/tls.key": filepath.Join(s.dir, "tls.key")},
		Entrypoint: []string{"/polyglot"},
	}
}

// ProtocolOptions returns options that verify a case by one rolling restart, in a
// namespace.
func (s *Subject) ProtocolOptions(c *ProtocolCase, namespace string) (verify.Options, error) {
	args, err := json.Marshal(append([]string{"--speak=" + c.Speaks}, c.args()...))
	if err != nil {
		return verify.Options{}, err
	}
	text := strings.NewReplacer("%NAMESPACE%", namespace, "%ARGS%", string(args)).Replace(polyglotTemplate)
	file := filepath.Join(s.dir, namespace+".yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return verify.Options{}, err
	}
	const rolling, streams = "rolling-restart", 12
	steps, err := scenario.Parse(rolling, 1)
	if err != nil {
		return verify.Options{}, err
	}
	t := verify.Traffic{Rate: 150, Paths: []string{"/"}, PodHeader: "X-Served-By", SlowFor: 8 * time.Second, Streams: streams}
	if t.Protocol, err = s.protocol(c.Speaks); err != nil {
		return verify.Options{}, err
	}
	switch t.Protocol.Name {
	case record.GRPC:
		t.Paths, t.SlowPath, t.Protocol.SlowBody = []string{healthCheck}, healthCheck, `{"service":"{duration}"}`
		t.Method = "POST"
	case record.WebSocket:
		t.Paths, t.Body = []string{"/ws"}, "hello"
	default:
		t.SlowPath, t.StreamPath, t.ExpectJSON = "/slow?for={duration}", "/events", true
		t.Method, t.Body = "PUT", `{"a":1}`
	}
	return verify.Options{
		Manifests: []string{file}, Service: "polyglot", AgentBinary: s.Agent, Steps: steps, Scenario: rolling,
		Baseline: 2 * time.Second, ReadyTimeout: 3 * time.Minute, Cleanup: true, Traffic: t, Signal: "Received shutdown signal",
	}, nil
}

const healthCheck = "/grpc.health.v1.Health/Check"

// protocol says how a server is spoken to that speaks this.
func (s *Subject) protocol(speaks string) (verify.Protocol, error) {
	p := verify.Protocol{Name: map[string]record.Protocol{
		"https": record.HTTP1, "h2": record.HTTP2, "h2c": record.HTTP2, "grpc": record.GRPC, "websocket": record.WebSocket,
	}[speaks]}
	if speaks == "https" || speaks == "h2" {
		ca, err := os.ReadFile(filepath.Join(s.dir, "tls.crt"))
		if err != nil {
			return p, err
		}
		p.TLS = &https.Settings{CA: string(ca), ServerName: serverName}
	}
	return p, nil
}

// certify writes a certificate that signs itself, and its key, into a folder.
func certify(dir string) error {
	cert, key, err := selfsigned.New(serverName)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil { // #nosec G306 -- the key of a test, which the pod's user must read
			return fmt.Errorf("the certificate for tests: %w", err)
		}
	}
	return nil
}
