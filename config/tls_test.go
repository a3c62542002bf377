package config

import (
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

func TestTLS(t *testing.T) {
	authority, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := authority.Issue(t, nil).Mount(t, t.TempDir())
	_, otherKey := authority.Issue(t, nil).Write(t, t.TempDir())
	s := mustLoad(t, []string{"--tls-cert-file", certFile}, "TOOLSET_TLS_KEY_FILE="+keyFile)
	if s.HTTP.TLSCertFile != certFile || s.HTTP.TLSKeyFile != keyFile {
		t.Errorf("%+v", s.HTTP)
	}
	for want, args := range map[string][]string{
		"--tls-cert-file needs the key of the certificate: add --tls-key-file=FILE":        {"--tls-cert-file", certFile},
		"--tls-key-file needs the certificate of the key: add --tls-cert-file=FILE":        {"--tls-key-file", keyFile},
		"are not a certificate and its key":                                                {"--tls-cert-file", certFile, "--tls-key-file", otherKey},
		"--tls-cert-file can't be used: the certificate: " + certFile + "x does not exist": {"--tls-cert-file", certFile + "x", "--tls-key-file", keyFile},
		"--tls-cert-file can't be used: the key: " + keyFile + "x does not exist":          {"--tls-cert-file", certFile, "--tls-key-file", keyFile + "x"},
	} {
		if _, err := Load(append(args, "--manifests", t.TempDir()), nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
