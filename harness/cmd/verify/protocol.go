package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/load/https"
)

// maxFile bounds the files of these flags.
const maxFile = 1 << 20

// protocolFlags say what the clients send, and in which protocol.
type protocolFlags struct {
	headers  []string
	bodyFile string

	tls    bool
	caFile string
	secure https.Settings
}

func (f *flags) addProtocol() {
	s, t, p := f.set, &f.o.Traffic, &f.protocolFlags
	s.StringVar(&t.Method, "method", "", "HTTP `METHOD` of the requests to --path (default GET, or POST with a body)")
	s.StringVar(&t.Body, "body", "", "`TEXT` that is the body of the requests to --path; say with --header what it is")
	s.StringVar(&p.bodyFile, "body-file", "", "`FILE` that has the body, instead of --body")
	s.IntSliceVar(&t.Statuses, "expect-status", nil, "`CODES` that are right for --path, separated by commas (default any 2xx, and 304)")
	s.StringArrayVar(&p.headers, "header", nil, "`NAME=VALUE`, or NAME: VALUE, a header of every request; may be repeated")
	s.BoolVar(&p.tls, "tls", false, "speak TLS (HTTPS); implied by the three that follow")
	s.StringVar(&p.caFile, "ca-file", "", "`FILE` (PEM) with the authority that signed the target's certificate (default: those that the load generator's image trusts, which are none)")
	s.BoolVar(&p.secure.Insecure, "insecure", false, "accept any certificate")
	s.StringVar(&p.secure.ServerName, "server-name", "", "`NAME` to send (SNI), which must be in the certificate (default the Host header without its port)")
}

// takeProtocol checks the flags, reads their files, and puts them into the options.
func (f *flags) takeProtocol() error {
	t, p := &f.o.Traffic, &f.protocolFlags
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
