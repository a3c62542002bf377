// Package certificate loads the certificate of a server, and loads it again when its
// files change. [Load] does the former once, a [Files] both.
//
// It compares the content of the files and not their times or i-nodes. So it makes no
// difference whether a file is rewritten, whether another one is renamed over it, or
// whether a kubelet switches the symbolic link "..data" because a mounted Secret has
// changed. A pair of files that can't be used never replaces one that can.
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

// maxFile bounds how much of a file is read, in bytes. A long chain has 20,000.
const maxFile = 1 << 20

// Files is a certificate and its key in two PEM files. Current may be called
// concurrently, Refresh by one goroutine at a time.
type Files struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	used              digest // of the content of current
	bad               string // what was wrong at the last Refresh
}

// A digest identifies the content of both files.
type digest [2][sha256.Size]byte

// Load returns the certificate in two files: a chain that begins with the server's own
// certificate, and its private key. The error says which file is wrong and why: it can't
// be read, has other content, does not match the other file, or is not valid now.
func Load(certFile, keyFile string) (*tls.Certificate, error) {
	cert, _, err := load(certFile, keyFile)
	return cert, err
}

// Open loads the certificate in two files. Refresh loads it again.
func Open(certFile, keyFile string) (*Files, error) {
	cert, sum, err := load(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	f := &Files{certFile: certFile, keyFile: keyFile, used: sum}
	f.current.Store(cert)
	return f, nil
}

// Current returns the certificate to use.
func (f *Files) Current() *tls.Certificate { return f.current.Load() }

// Refresh reads the files, and reports whether they have a new certificate. If they can't
// be used, the old certificate stays in use and the error says what is wrong. The first
// Refresh that finds a bad pair returns no error, since the files may be in the middle of
// being replaced; each further one does.
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

// read reads a file that should be small. Its errors name the file.
func read(path string) ([]byte, error) {
	// Reading a pipe would block, and the second read would find nothing.
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

// encrypted reports whether a key in PEM form needs a password (RFC 5958, section 3, or
// the older RFC 1421, section 4.6.1.3).
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
