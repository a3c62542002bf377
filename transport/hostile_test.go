package transport_test

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The hostile suite sends what no honest client sends, over raw sockets, to the real
// server. Whatever comes, each response is well-formed for a strict parser and has a
// request identifier, each error is a problem document (or one of MCP), none is a 5xx, nothing of another
// connection shows up, and the server goes on.

// patience is how long a client waits for a server that sends nothing. To wait that long
// is a failure.
const patience = 15 * time.Second

// A hostile is what a client sends on a connection of its own, and the expected result.
type hostile struct {
	name string
	send string
	// want lists the statuses of the responses in order, with alternatives separated by a
	// bar, and the state of the connection afterwards: open, closed, or half if the
	// server waits for more, so that the client must end it. Example: "400 closed".
	want string
	// head: the responses have no body.
	head bool
	// api: the case is about a path of the API port and not about HTTP.
	api bool
}

// marked returns a request identifier with the name of a case. Everything on a connection
// must belong to its own case.
func marked(name string) string {
	clean := []byte(name)
	for i, c := range clean {
		if c <= ' ' || c > '~' || c == ',' {
			clean[i] = '_'
		}
	}
	return "canary-" + string(clean)
}

// wanted splits want.
func (h *hostile) wanted() (statuses []string, end string) {
	all := strings.Fields(h.want)
	return all[:len(all)-1], all[len(all)-1]
}

// sentinel is a well-formed request for something that no case asks for.
func sentinel(id string) string {
	return "GET /sentinel HTTP/1.1\r\nHost: x\r\nX-Request-ID: " + id + "\r\n\r\n"
}

// run sends the case, alone or with a regular request right behind it, and checks the
// responses. strict says that the statuses must be those of the case. Otherwise only
// their number must be right, as on the metrics port, which has other paths.
func (h *hostile) run(t *testing.T, addr string, followed, strict bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the end of a test
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := &rawClient{t: t, Conn: conn}
	statuses, end := h.wanted()
	if end == "half" && followed {
		return // what follows would complete it
	}
	last := marked(h.name) + "-sentinel"
	sent := h.send
	if followed {
		sent += sentinel(last)
	}
	c.write(sent)

	count := len(statuses)
	var got []*answer
	var pending []byte
	switch {
	case end == "open":
		got, pending, err = c.readAnswers(nil, count, h.head)
		if err == nil {
			if !followed {
				c.write(sentinel(last))
			}
			var more []*answer
			more, pending, err = c.readAnswers(pending, 1, false)
			got = append(got, more...)
		}
		if err == nil {
			conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // the read tells
			_, _, err = c.readAnswers(pending, -1, false)
		}
		statuses = append(slices.Clone(statuses), "404")
	case end == "half":
		conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // the read tells
		fallthrough
	default:
		got, _, err = c.readAnswers(nil, -1, h.head)
	}
	if err != nil {
		t.Errorf("%v; responses so far: %v", err, got)
		return
	}
	h.judge(t, got, statuses, end, strict)
}

func (h *hostile) judge(t *testing.T, got []*answer, statuses []string, end string, strict bool) {
	t.Helper()
	if len(got) != len(statuses) {
		t.Errorf("%d responses, want %v %s: %v", len(got), statuses, end, got)
		return
	}
	for i, a := range got {
		if err := a.check(); err != nil {
			t.Errorf("response %d: %v: %s", i+1, err, a)
		}
		if a.status >= 500 && a.status != 505 {
			t.Errorf("response %d is a %d: %s", i+1, a.status, a)
		}
		if (strict || a.status == 400) && !slices.Contains(strings.Split(statuses[i], "|"), strconv.Itoa(a.status)) {
			t.Errorf("response %d: status %d, want %s: %s", i+1, a.status, statuses[i], a)
		}
		if closes := end != "open" && i == len(got)-1; end != "half" && a.closes() != closes {
			t.Errorf("response %d says close=%v, want %v: %s", i+1, a.closes(), closes, a)
		}
		// The client's own identifier, or a new one; never one that it has tried to
		// smuggle in.
		if id := a.id(); strings.HasPrefix(id, "canary-") && !strings.HasPrefix(id, marked(h.name)) {
			t.Errorf("response %d has the identifier of another connection: %s", i+1, a)
		}
		if strings.Contains(a.id()+string(a.body), "smuggled") {
			t.Errorf("response %d answers the smuggled request: %s", i+1, a)
		}
	}
	if end == "open" {
		if id := got[len(got)-1].id(); id != marked(h.name)+"-sentinel" {
			t.Errorf("the regular request that followed was not answered as such: %s", got[len(got)-1])
		}
	}
}

// hostiles returns all cases that need no clock.
func hostiles() []hostile {
	return slices.Concat(smugglings(), chunkings(), lengths(), requestLines(), versions(), headsRefused(), targets(), fieldLines(), identifiers(), contents(), pipelines(), messages())
}

func TestHostileRequests(t *testing.T) {
	limits := func(o *options) {
		o.Limits.MaxHeaderBytes, o.Limits.MaxRequestBody = 4096, 4096
	}
	f := start(t, limits)
	cases := hostiles()
	names := map[string]bool{}
	for _, h := range cases {
		if names[h.name] {
			t.Fatalf("two cases %q", h.name)
		}
		names[h.name] = true
	}
	if len(cases) < 200 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, h := range cases {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			h.run(t, f.server.Addr(), false, true)
			h.run(t, f.server.Addr(), true, true)
			if !h.api {
				h.run(t, f.server.MetricsAddr(), true, false)
			}
		})
	}
	t.Cleanup(func() { // after all of them
		if r := f.do("GET", "/api/v1/toolsets", ""); r.StatusCode != 200 {
			t.Errorf("the server does not go on: %s", r)
		}
		if n := f.logs.FilterMessageSnippet("panicked").Len(); n > 0 {
			t.Errorf("%d handlers panicked", n)
		}
	})
}

// get returns a GET of path with more field lines, each ended by CRLF.
func get(path, fields string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"
}

// post returns a POST of JSON whose framing is given in fields.
func post(fields, body string) string {
	return "POST /api/v1/toolsets/validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + fields + "\r\n" + body
}

// smuggled is a complete request that must never be answered. It is hidden where one
// parser sees a body and another does not.
const smuggled = "GET /api/v1/toolsets/smuggled HTTP/1.1\r\nHost: x\r\nX-Request-ID: smuggled\r\n\r\n"

// sized returns a body with its Content-Length field.
func sized(body string) (field, same string) {
	return fmt.Sprintf("Content-Length: %d\r\n", len(body)), body
}

// short quotes s for a name, without the middle if it is long.
func short(s string) string {
	if len(s) <= 60 {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%q...%q of %d", s[:20], s[len(s)-10:], len(s))
}
