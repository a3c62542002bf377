// Package certificate holds the certificate that a server shows to its clients,
// and takes a new one when its files change.
//
// The content of the files is compared, not their time or their i-node: what
// counts is the same for a file that is rewritten, one that is renamed over the
// old one, and the symbolic link "..data" that a kubelet swaps when a mounted
// Secret changes. A pair that can't be used never replaces one that can.
package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// maxFile bounds what is read of a file, in bytes; a long chain has 20,000.
const maxFile = 1 << 20

// Files are a certificate and its key in two PEM files. Refresh may be called
// by one goroutine at a time, Current by any.
type Files struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	used              digest // of the content of current
	bad               string // what was wrong at the last look
}

// A digest tells whether the content of both files is what it was.
type digest [2][sha256.Size]byte

// Load returns the certificate of two files: the chain, that of the server
// first, and its private key. The error says which file is wrong and why: it
// can't be read, holds something else, does not fit the other one, or is not
// valid now.
func Load(certFile, keyFile string) (*tls.Certificate, error) {
	cert, _, err := load(certFile, keyFile)
	return cert, err
}

// Open loads the certificate of two files, which Refresh then follows.
func Open(certFile, keyFile string) (*Files, error) {
	cert, sum, err := load(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	f := &Files{certFile: certFile, keyFile: keyFile, used: sum}
	f.current.Store(cert)
	return f, nil
}

// Current returns the certificate to show.
func (f *Files) Current() *tls.Certificate { return f.current.Load() }

// Refresh looks whether the files have changed, and reports whether there is a
// new certificate. A pair that can't be used leaves the old one; the error says
// what is wrong with it, at every look. The first look at it is silent: the
// files may be in the middle of being replaced.
func (f *Files) Refresh() (changed bool, err error) {
	cert, sum, err := load(f.certFile, f.keyFile)
	if err != nil && sum != f.used {
		again := f.bad == err.Error()
		f.bad = err.Error()
		if again {
			return false, err
		}
		return false, nil
	}
	f.bad = ""
	if sum == f.used {
		return false, nil
	}
	f.used = sum
	f.current.Store(cert)
	return true, nil
}

func load(certFile, keyFile string) (*tls.Certificate, digest, error) {
	var sum digest
	certPEM, err := read(certFile)
	if err != nil {
		return nil, sum, fmt.Errorf("the certificate: %w", err)
	}
	keyPEM, err := read(keyFile)
	if err != nil {
		return nil, sum, fmt.Errorf("the key: %w", err)
	}
	sum = digest{sha256.Sum256(certPEM), sha256.Sum256(keyPEM)}
	if encrypted(keyPEM) {
		return nil, sum, fmt.Errorf("the key in %s is encrypted, and there is nobody to ask for its password: store it without one", keyFile)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, sum, fmt.Errorf("%s and %s are not a certificate and its key: %w", certFile, keyFile, err)
	}
	now := time.Now()
	switch leaf := cert.Leaf; {
	case now.After(leaf.NotAfter):
		return nil, sum, fmt.Errorf("the certificate in %s expired on %s: renew it", certFile, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return nil, sum, fmt.Errorf("the certificate in %s is valid from %s on only: wait, or set this machine's clock right", certFile, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return &cert, sum, nil
}

// read reads a file that is expected to be small. Its errors name the file.
func read(path string) ([]byte, error) {
	// A pipe would block, and be empty at the second look.
	if info, err := os.Stat(path); err != nil {
		return nil, explain(path, err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, explain(path, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, explain(path, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes; it should hold a certificate or a key in PEM form", path, maxFile)
	}
	return b, nil
}

func explain(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist", path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s may not be read by this user", path)
	}
	return err
}

// encrypted reports whether a key in PEM form asks for a password (RFC 5958,
// section 3, or the older RFC 1421, section 4.6.1.3).
func encrypted(keyPEM []byte) bool {
	for {
		var block *pem.Block
		block, keyPEM = pem.Decode(keyPEM)
		if block == nil {
			return false
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
}
