package certificate_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/transport/certificate"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

func authority(t *testing.T) *certtest.Authority {
	t.Helper()
	a, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func expired(c *x509.Certificate)  { c.NotAfter = time.Now().Add(-time.Second) }
func tomorrow(c *x509.Certificate) { c.NotBefore, c.NotAfter = c.NotAfter, c.NotAfter.Add(time.Hour) }

// Each error names the file and says what to do.
func TestLoadRefuses(t *testing.T) {
	a := authority(t)
	good, other := a.Issue(t, nil), a.Issue(t, nil)
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	oldLocked := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "x"}, Bytes: []byte("x")})
	for name, c := range map[string]struct {
		pair certtest.Pair
		want []string
	}{
		"mismatch":       {certtest.Pair{Cert: good.Cert, Key: other.Key}, []string{"tls.crt and ", "tls.key are not a certificate and its key", "does not match"}},
		"swapped":        {certtest.Pair{Cert: good.Key, Key: good.Cert}, []string{"tls.crt and ", "not a certificate and its key", "switched"}},
		"expired":        {a.Issue(t, expired), []string{"tls.crt expired on ", "renew it"}},
		"not yet valid":  {a.Issue(t, tomorrow), []string{"tls.crt is valid from ", "clock"}},
		"locked key":     {certtest.Pair{Cert: good.Cert, Key: locked}, []string{"tls.key is encrypted", "without"}},
		"old locked key": {certtest.Pair{Cert: good.Cert, Key: oldLocked}, []string{"tls.key is encrypted"}},
		"empty":          {certtest.Pair{}, []string{"tls.crt", "failed to find any PEM data"}},
		"huge":           {certtest.Pair{Cert: good.Cert, Key: make([]byte, 2<<20)}, []string{"tls.key is larger than"}},
	} {
		certFile, keyFile := c.pair.Write(t, t.TempDir())
		wantError(t, name, certFile, keyFile, c.want...)
	}
	certFile, keyFile := good.Write(t, t.TempDir())
	wantError(t, "missing certificate", certFile+"x", keyFile, "the certificate: ", "tls.crtx does not exist")
	wantError(t, "missing key", certFile, keyFile+"x", "the key: ", "tls.keyx does not exist")
	wantError(t, "folder", filepath.Dir(certFile), keyFile, "is not a regular file")
	if _, err := certificate.Open(certFile, certFile); err == nil {
		t.Error("Open accepts what Load does not")
	}
}

func wantError(t *testing.T, name, certFile, keyFile string, want ...string) {
	t.Helper()
	_, err := certificate.Load(certFile, keyFile)
	if err == nil {
		t.Errorf("%s: accepted", name)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q is not in the error: %v", name, w, err)
		}
	}
}

// A followed is a Files with the certificate that a test expects.
type followed struct {
	*certificate.Files
	t *testing.T
}

func (f followed) serial() string { return f.Current().Leaf.SerialNumber.String() }

// want calls Refresh and checks the outcome.
func (f followed) want(when string, changed bool, problem string) {
	f.t.Helper()
	got, err := f.Refresh()
	if got != changed {
		f.t.Errorf("%s: changed %v, want %v (%v)", when, got, changed, err)
	}
	if (err != nil) != (problem != "") || err != nil && !strings.Contains(err.Error(), problem) {
		f.t.Errorf("%s: error %v, want %q", when, err, problem)
	}
}

func open(t *testing.T, certFile, keyFile string) followed {
	t.Helper()
	f, err := certificate.Open(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return followed{f, t}
}

// However the files change, the next Refresh finds the new pair, and only that one.
func TestRefreshTakesANewPair(t *testing.T) {
	a := authority(t)
	for name, replace := range map[string]func(certtest.Pair, string){
		"rewritten": func(p certtest.Pair, dir string) { p.Write(t, dir) },
		"swapped as by a kubelet": func(p certtest.Pair, dir string) {
			p.Mount(t, dir)
		},
		"renamed": func(p certtest.Pair, dir string) {
			certFile, keyFile := p.Write(t, t.TempDir())
			for _, path := range []string{certFile, keyFile} {
				if err := os.Rename(path, filepath.Join(dir, filepath.Base(path))); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			certFile, keyFile := a.Issue(t, nil).Mount(t, dir)
			if name != "swapped as by a kubelet" {
				dir = t.TempDir()
				certFile, keyFile = a.Issue(t, nil).Write(t, dir)
			}
			f := open(t, certFile, keyFile)
			for round := range 3 {
				before := f.serial()
				f.want("unchanged", false, "")
				replace(a.Issue(t, nil), dir)
				f.want("replaced", true, "")
				if f.serial() == before {
					t.Errorf("round %d: still the old certificate", round)
				}
				f.want("unchanged", false, "")
			}
		})
	}
}

// A bad pair is reported from the second Refresh on, as long as it is there, and leaves
// the old one in use. A good pair ends that.
func TestRefreshKeepsTheOldPair(t *testing.T) {
	a := authority(t)
	dir := t.TempDir()
	good := a.Issue(t, nil)
	certFile, keyFile := good.Write(t, dir)
	f := open(t, certFile, keyFile)
	before := f.serial()
	for name, c := range map[string]struct {
		pair    certtest.Pair
		problem string
	}{
		"mismatch": {certtest.Pair{Cert: a.Issue(t, nil).Cert, Key: good.Key}, "not a certificate and its key"},
		"expired":  {a.Issue(t, expired), "expired"},
		"too soon": {a.Issue(t, tomorrow), "valid from"},
		"garbage":  {certtest.Pair{Cert: []byte("x"), Key: []byte("y")}, "PEM"},
	} {
		c.pair.Write(t, dir)
		f.want(name+", first look", false, "")
		for range 3 {
			f.want(name, false, c.problem)
		}
		if f.serial() != before {
			t.Fatalf("%s: the bad pair is in use", name)
		}
		good.Write(t, dir)
		f.want(name+", put right", false, "")
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	f.want("removed, first look", false, "")
	f.want("removed", false, "does not exist")
	a.Issue(t, nil).Write(t, dir)
	f.want("a new pair", true, "")
}

// A pair that is replaced file by file is not reported if a Refresh finds half of it
// replaced.
func TestRefreshMeetsHalfOfAPair(t *testing.T) {
	a := authority(t)
	dir := t.TempDir()
	old, next := a.Issue(t, nil), a.Issue(t, nil)
	f := open(t, first(old.Write(t, dir)), filepath.Join(dir, "tls.key"))
	certtest.Pair{Cert: next.Cert, Key: old.Key}.Write(t, dir)
	f.want("half", false, "")
	next.Write(t, dir)
	f.want("whole", true, "")
}

func first(a, _ string) string { return a }

// A certificate that expires while it is in use is not reported as a bad new one.
func TestRefreshWhenTheOldPairExpires(t *testing.T) {
	soon := time.Now().Add(2 * time.Second) // certificates have whole seconds
	certFile, keyFile := authority(t).Issue(t, func(c *x509.Certificate) { c.NotAfter = soon }).Write(t, t.TempDir())
	f := open(t, certFile, keyFile)
	time.Sleep(time.Until(soon))
	for range 3 {
		f.want("expired in use", false, "")
	}
	if _, err := certificate.Load(certFile, keyFile); err == nil {
		t.Error("it has not expired: the test shows nothing")
	}
}
