package products

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
	"unicode/utf8"
)

// RealProcess is the Source of a recording that Record has made.
const RealProcess = "recorded from a real process"

// A Recording is what a product has answered to requests. It lets the rules that tell
// products apart be tested against all pairs of a product and a kind, without processes.
type Recording struct {
	// Source is RealProcess, or says where the answers were found word for word.
	Source string `json:"source"`
	// Product and Version are what a right rule says; the version is empty if the answers
	// don't say it.
	Product string `json:"product"`
	Version string `json:"version,omitempty"`
	// Kind is the kind in the rules that the answers prove; empty if it is none of them.
	Kind string `json:"kind,omitempty"`
	// Proves is false if the answers are this kind's, but can't prove it, such as behind a
	// login.
	Proves bool `json:"proves"`
	// Setup says in words how the product was started.
	Setup string `json:"setup,omitempty"`
	// Prefix is the path below which it answers; the paths of the answers are below it.
	Prefix  string   `json:"prefix,omitempty"`
	Answers []Answer `json:"answers"`
	// Otherwise is its answer to all other paths. A status of 0 means that it is unknown.
	Otherwise Answer `json:"otherwise"`
	// Above are answers to requests outside the prefix.
	Above []Answer `json:"above,omitempty"`
}

// An Answer is one response.
type Answer struct {
	Get    string            `json:"get,omitempty"`
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	// Source says where this answer was found, if elsewhere than the recording says.
	Source string `json:"source,omitempty"`
}

// maxBody is how much of a body is recorded. All that rules look at is near its beginning.
const maxBody = 4 << 10

// headers are the fields that tell something about a product. Others, such as Date, would
// make each recording differ.
var headers = []string{"Content-Type", "Location", "Server", "Www-Authenticate", "Kbn-Name", "Osd-Name", "X-Elastic-Product",
	"X-Influxdb-Build", "X-Influxdb-Version", "X-Prometheus-Scrape-Timeout-Seconds", "X-Server-Hostname"}

// Record sends all gets below base, and returns the answers.
func Record(ctx context.Context, client *http.Client, base string, gets []string) ([]Answer, error) {
	var answers []Answer
	for _, get := range gets {
		a, err := ask(ctx, client, base, get)
		if err != nil {
			return nil, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}

func ask(ctx context.Context, client *http.Client, base, get string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+get, nil)
	if err != nil {
		return Answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer to %s: %w", get, err)
	}
	a := Answer{Get: get, Status: resp.StatusCode, Header: map[string]string{}}
	for _, h := range headers {
		// Its value is the name of the machine.
		if v := resp.Header.Get(h); v != "" && h != "X-Server-Hostname" {
			a.Header[h] = v
		} else if v != "" {
			a.Header[h] = "host"
		}
	}
	for len(body) > 0 && !utf8.Valid(body) { // cut inside a letter
		body = body[:len(body)-1]
	}
	a.Body = string(body)
	return a, nil
}

// WriteFile writes r to a file.
func (r *Recording) WriteFile(name string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// noRedirects makes a client return redirects as they are.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

var errNoAnswer = errors.New("it did not answer")
