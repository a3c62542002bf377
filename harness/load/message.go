package load

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A message is a Target that is ready to be sent: what comes before and after the path
// and the Connection header.
type message struct {
	*Target
	asked    *http.Request     // for the parser of responses, which must know the method
	given    map[string]string // the headers of the configuration
	fields   map[string]string // the headers, without those that belong to the protocol
	headers  string            // from after the path to the end of the last header
	problems bool              // Config.Problems
}

func newMessage(c *Config, t *Target, class record.Class) *message {
	header := map[string]string{"User-Agent": "dynamic-toolset-load", "Accept": "*/*"}
	if class == record.Stream {
		header["Accept"] = "text/event-stream"
	}
	given := map[string]string{}
	for _, from := range []map[string]string{c.Header, t.Header} {
		for name, value := range from {
			header[http.CanonicalHeaderKey(name)] = value
			given[http.CanonicalHeaderKey(name)] = value
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, " HTTP/1.1\r\nHost: %s\r\n", c.Host)
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\r\n", name, header[name])
	}
	if t.Body != "" || !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "DELETE"}, t.Method) {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(t.Body))
	}
	return &message{Target: t, asked: &http.Request{Method: t.Method}, given: given, fields: header, headers: b.String(), problems: c.Problems}
}

// appendTo appends the request to b; for a slow upload, without the body.
func (m *message) appendTo(b []byte, path string, hangUp bool) []byte {
	b = append(b, m.Method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, m.headers...)
	if hangUp {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "\r\n"...)
	if !m.SlowUpload {
		b = append(b, m.Body...)
	}
	return b
}

// path returns the path of a request that should take d.
func (m *message) path(d time.Duration) string {
	if d == 0 {
		return m.Path
	}
	return strings.ReplaceAll(m.Path, durationMark, d.Round(time.Millisecond).String())
}

// A choice picks messages of a class at random, by their weights. If it took turns,
// each connection could get the same request every time.
type choice struct {
	messages []*message
	until    []int // sums of the weights
}

func newChoice(c *Config, class record.Class) *choice {
	ch := new(choice)
	sum := 0
	for i := range c.Targets {
		if t := &c.Targets[i]; slices.Contains(t.Classes, class) {
			sum += t.Weight
			ch.messages = append(ch.messages, newMessage(c, t, class))
			ch.until = append(ch.until, sum)
		}
	}
	return ch
}

func (ch *choice) next() *message {
	if len(ch.messages) == 1 {
		return ch.messages[0]
	}
	n := rand.IntN(ch.until[len(ch.until)-1])
	for i, until := range ch.until {
		if n < until {
			return ch.messages[i]
		}
	}
	panic("load: the weights do not add up")
}
