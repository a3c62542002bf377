package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// traffic returns what flags mean for the traffic.
func traffic(args ...string) (*verify.Traffic, error) {
	f := newFlags()
	if err := f.parse(args, io.Discard); err != nil {
		return nil, err
	}
	return &f.o.Traffic, f.takeProtocol()
}

func TestProtocolFlags(t *testing.T) {
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte("a,b"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := traffic("--header=Accept=text/html, */*;q=0.8", "--header", "X-Time: 12:30", "--method=PATCH", "--body-file="+body, "--expect-status=201,409", "--insecure", "--server-name=a.example")
	if err != nil {
		t.Fatal(err)
	}
	if got.Header["Accept"] != "text/html, */*;q=0.8" || got.Header["X-Time"] != "12:30" || got.Method != "PATCH" || got.Body != "a,b" ||
		len(got.Statuses) != 2 || got.Protocol.TLS == nil || !got.Protocol.TLS.Insecure || got.Protocol.TLS.ServerName != "a.example" || got.Protocol.Name != record.HTTP1 {
		t.Errorf("%+v", got)
	}
	if got, err := traffic(); err != nil || got.Protocol.TLS != nil {
		t.Errorf("without flags: %+v, %v", got, err)
	}
	if got, err := traffic("--protocol=grpc"); err != nil || got.Paths[0] != "/grpc.health.v1.Health/Check" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := traffic("--protocol=websocket", "--path=/ws", "--body=hello", "--close-code=1000,1001", "--tls"); err != nil || got.Protocol.Name != record.WebSocket || got.Protocol.CloseCodes[0] != 1000 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Flags that can't work are refused, with what to do.
func TestProtocolFlagsThatCantWork(t *testing.T) {
	for want, args := range map[string][]string{
		"it can be http1, h2, grpc or websocket":          {"--protocol=http3"},
		"--stream-path has no meaning with":               {"--protocol=grpc", "--stream-path=/events"},
		"--slow-path has no meaning with":                 {"--protocol=websocket", "--slow-path=/slow"},
		"--close-code has no meaning with":                {"--close-code=1001"},
		"both --slow-path":                                {"--protocol=grpc", "--slow-body={}"},
		"either --body or --body-file":                    {"--body=a", "--body-file=b"},
		"--body-file: open /no/such":                      {"--body-file=/no/such"},
		"either --ca-file or --insecure":                  {"--ca-file=a", "--insecure"},
		"write it as Name=value or":                       {"--header=Accept"},
		"the CA has no certificate: give a PEM file":      {"--ca-file=protocol_test.go"},
		"method \"get\": methods are in capital letters":  {"--method=get"},
		"method CONNECT makes a tunnel":                   {"--method=CONNECT"},
		"expectStatus is 99":                              {"--expect-status=99"},
		"alsoExpect has 9000":                             {"--expect-status=200,9000"},
		"Host is written by the client class":             {"--header=Host=a"},
		"is no grpc.health.v1.HealthCheckRequest in JSON": {"--protocol=grpc", "--body=hello"},
		"write it as /package.Service/Method":             {"--protocol=grpc", "--path=/"},
		"are no FileDescriptorSet":                        {"--protocol=grpc", "--path=/a.B/C", "--grpc-descriptors=protocol_test.go"},
		"but not 1006":                                    {"--protocol=websocket", "--path=/ws", "--close-code=1006"},
	} {
		f := newFlags()
		err := f.parse(append([]string{"--manifest=none", "--image=x", "--cluster=kind"}, args...), io.Discard)
		if err == nil {
			o := &f.o
			if err = f.takeProtocol(); err == nil {
				if len(o.Traffic.Paths) == 0 {
					o.Traffic.Paths = []string{"/"}
				}
				err = o.Validate()
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, not %q", args, err, want)
		}
	}
}
