package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// maxFile bounds the files of these flags.
const maxFile = 1 << 20

// protocolFlags say what the clients send, and in which protocol.
type protocolFlags struct {
	name        string
	headers     []string
	bodyFile    string
	descriptors string

	tls    bool
	caFile string
	secure https.Settings
}

func (f *flags) addProtocol() {
	s, t, p := f.set, &f.o.Traffic, &f.protocolFlags
	s.StringVar(&p.name, "protocol", "http1", "`PROTOCOL` that the clients speak: http1, h2 (HTTP/2, without TLS by prior knowledge), grpc or websocket; see below")
	s.StringVar(&t.Method, "method", "", "HTTP `METHOD` of the requests to --path (default GET, or POST with a body)")
	s.StringVar(&t.Body, "body", "", "`TEXT` that is the body of the requests to --path; say with --header what it is. gRPC: the request in JSON. WebSocket: the message to which another is the reply (default a ping)")
	s.StringVar(&p.bodyFile, "body-file", "", "`FILE` that has the body, instead of --body")
	s.IntSliceVar(&t.Statuses, "expect-status", nil, "`CODES` that are right for --path, separated by commas (default any 2xx, and 304)")
	s.StringArrayVar(&p.headers, "header", nil, "`NAME=VALUE`, or NAME: VALUE, a header of every request; may be repeated")
	s.StringVar(&t.Protocol.SlowBody, "slow-body", "", "`JSON` request of the gRPC method --slow-path, in which {duration} is how long it should take, such as 3.250s")
	s.StringVar(&p.descriptors, "grpc-descriptors", "", "`FILE` with the types of the gRPC methods (protoc --include_imports --descriptor_set_out=FILE); default: the server's reflection")
	s.IntSliceVar(&t.Protocol.CloseCodes, "close-code", nil, "`CODES` with which a server may close a held WebSocket connection (default 1001,1012)")
	s.BoolVar(&p.tls, "tls", false, "speak TLS (HTTPS); implied by the three that follow")
	s.StringVar(&p.caFile, "ca-file", "", "`FILE` (PEM) with the authority that signed the target's certificate (default: those that the load generator's image trusts, which are none)")
	s.BoolVar(&p.secure.Insecure, "insecure", false, "accept any certificate")
	s.StringVar(&p.secure.ServerName, "server-name", "", "`NAME` to send (SNI), which must be in the certificate (default the Host header without its port)")
}

// takeProtocol checks the flags, reads their files, and puts them into the options.
func (f *flags) takeProtocol() error {
	t, p := &f.o.Traffic, &f.protocolFlags
	if err := f.chooseProtocol(); err != nil {
		return err
	}
	for _, text := range p.headers {
		name, value, err := splitHeader(text)
		if err != nil {
			return err
		}
		if t.Header == nil {
			t.Header = map[string]string{}
		}
		t.Header[name] = value
	}
	if p.bodyFile != "" {
		if t.Body != "" {
			return errors.New("give either --body or --body-file, not both")
		}
		body, err := readFile(p.bodyFile)
		if err != nil {
			return fmt.Errorf("--body-file: %w", err)
		}
		t.Body = string(body)
	}
	if p.caFile != "" {
		if p.secure.Insecure {
			return errors.New("give either --ca-file or --insecure, not both: with --insecure any certificate is right")
		}
		ca, err := readFile(p.caFile)
		if err != nil {
			return fmt.Errorf("--ca-file: %w", err)
		}
		p.secure.CA = string(ca)
	}
	if p.tls || p.secure != (https.Settings{}) {
		t.Protocol.TLS = &p.secure
	}
	return nil
}

// splitHeader splits NAME=VALUE or NAME: VALUE, at what comes first.
func splitHeader(text string) (name, value string, err error) {
	at := strings.IndexAny(text, "=:")
	if at <= 0 {
		return "", "", fmt.Errorf("--header is %q; write it as Name=value or 'Name: value'", text)
	}
	return strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+1:]), nil
}

// readFile reads a file of up to maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return data, err
}

// protocols are the names of --protocol.
var protocols = map[string]record.Protocol{"http1": record.HTTP1, "h2": record.HTTP2, "grpc": record.GRPC, "websocket": record.WebSocket}

// chooseProtocol takes --protocol, and refuses flags that have no meaning with it.
func (f *flags) chooseProtocol() error {
	t, p := &f.o.Traffic, &f.protocolFlags
	name, ok := protocols[p.name]
	if !ok {
		return fmt.Errorf("--protocol is %q; it can be http1, h2, grpc or websocket", p.name)
	}
	t.Protocol.Name = name
	none := map[record.Protocol][]string{
		record.HTTP1:     {"slow-body", "grpc-descriptors", "close-code"},
		record.HTTP2:     {"slow-body", "grpc-descriptors", "close-code"},
		record.GRPC:      {"method", "expect-status", "error-path", "slow-upload", "stream-path", "mcp-path", "close-code"},
		record.WebSocket: {"method", "expect-status", "error-path", "slow-path", "slow-upload", "stream-path", "mcp-path", "slow-body", "grpc-descriptors"},
	}
	for _, flag := range none[name] {
		if f.set.Changed(flag) {
			return fmt.Errorf("--%s has no meaning with --protocol %s: leave it out", flag, p.name)
		}
	}
	if name != record.GRPC {
		return nil
	}
	if len(t.Paths) == 0 {
		t.Paths = []string{"/grpc.health.v1.Health/Check"}
	}
	t.Method = "POST"
	if (t.SlowPath != "") != (t.Protocol.SlowBody != "") {
		return errors.New("of a slow gRPC method give both --slow-path /package.Service/Method and --slow-body with {duration} in it")
	}
	if p.descriptors != "" {
		var err error
		if t.Protocol.Descriptors, err = readFile(p.descriptors); err != nil {
			return fmt.Errorf("--grpc-descriptors: %w", err)
		}
	}
	return nil
}
