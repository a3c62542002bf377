package identity

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// The requests by which an MCP server is asked who it is. An [Asker] knows how they look.
const (
	// MCPDiscover is what each server since the revision 2026-07-28 must answer (Model
	// Context Protocol, "Versioning and Compatibility").
	MCPDiscover = "server/discover"
	// MCPInitialize begins a session with a server of an earlier revision.
	MCPInitialize = "initialize"
)

// mcpPath is the usual path of an MCP server, and ssePath that of one with the transport
// of the revision 2024-11-05, "HTTP with SSE".
const (
	mcpPath = "/mcp"
	ssePath = "/sse"
)

// unsupportedVersion is the code of the error by which a server says which revisions it
// supports, none of which is the one of the request.
const unsupportedVersion = -32022

// mcpRevision is the form of the names of revisions.
var mcpRevision = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}-[0-9]{2}$`)

// mcp asks the MCP server at base, which has its path.
func (s *session) mcp(base string) service.Identity {
	s.base = base
	id, otherScheme := s.mcpAt()
	if !otherScheme {
		return id
	}
	scheme, rest, _ := strings.Cut(base, "://")
	b := *s
	b.base, b.access, b.unsure, b.definite = map[string]string{"http": "https", "https": "http"}[scheme]+"://"+rest, service.Access{}, "", nil
	if other, _ := b.mcpAt(); other.Verdict == service.Verified {
		return other
	}
	return id
}

// afterAll asks what is no MCP server whether it is another kind of back end, at the root.
// refuted is the identity if it is none.
func (s *session) afterAll(refuted service.Identity, q service.Question) service.Identity {
	s.base, s.prefixes, s.empty = strings.TrimSuffix(s.base, strings.TrimSuffix(pathOf(s.base), "/")), []string{""}, map[string]bool{}
	s.follow("/")
	for rule := range s.others(q) {
		for prefix := range s.served() {
			if id, ok := s.prove(rule, prefix); ok {
				return id
			}
		}
	}
	return refuted
}

// mcpAt asks at s.base. otherScheme means that the port does not speak that scheme.
func (s *session) mcpAt() (id service.Identity, otherScheme bool) {
	at := s.base
	a := s.post(at, MCPDiscover)
	if a.Failure == Broken || a.wantsTLS() {
		id = s.unverified()
		return id, true
	}
	// Some frameworks mount the server one slash further.
	if to, here, ok := a.target(at); ok && here && !a.isLogin() && to.Path == pathOf(at)+"/" {
		s.unsure = ""
		at += "/"
		a = s.post(at, MCPDiscover)
	}
	if version, ok := isDiscovered(a); ok {
		return s.isMCP(at, MCPDiscover, version), false
	}
	if a.Status == 0 || a.meaning() == guarded {
		return s.unverified(), false
	}
	a = s.post(at, MCPInitialize)
	if version, ok := isInitialized(a); ok {
		return s.isMCP(at, MCPInitialize, version), false
	}
	at = s.base
	if base, ok := strings.CutSuffix(s.base, mcpPath); ok && a.Status != 405 { // which says that GET is right
		at = base + ssePath
	}
	if a.meaning() == definite && s.closed == "" && s.left > 0 {
		s.left--
		events := s.ask.Get(s.ctx, at)
		s.note("GET "+pathOf(at), at, &events)
		if isEventEndpoint(&events) {
			id = s.isMCP(at, "", "")
			id.Access.Transport = service.TransportSSE
			return id, false
		}
	}
	if s.closed != "" || s.guards > 0 || s.unsure != "" || len(s.definite) == 0 {
		return s.unverified(), false
	}
	return service.Identity{Verdict: service.Refuted, Access: s.access,
		Evidence: append([]string{"it answers, but not as " + s.want.Product}, s.definite...)}, false
}

// post sends a request of the protocol to an MCP server.
func (s *session) post(at, method string) *Answer {
	if s.closed != "" || s.left <= 0 || s.ctx.Err() != nil {
		return &Answer{Failure: Timeout, Why: s.closed}
	}
	s.left--
	a := s.ask.MCP(s.ctx, at, method)
	s.note("POST "+pathOf(at)+" ("+method+")", at, &a)
	return &a
}

func (s *session) isMCP(at, method, version string) service.Identity {
	if !versionPattern.MatchString(version) {
		version = ""
	}
	as := strings.TrimSpace(s.want.Product + " " + version)
	how := fmt.Sprintf("POST %s (%s) answered as %s", pathOf(at), method, as)
	if method == "" {
		how = fmt.Sprintf("GET %s answered as %s of 2024", pathOf(at), as)
	}
	s.access.Path = strings.TrimRight(pathOf(at), "/")
	s.access.Auth = service.AuthNone
	return service.Identity{Verdict: service.Verified, Type: s.want.Type, Product: s.want.Product, Version: version,
		URL: s.base, Evidence: []string{how}, Access: s.access}
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return cmp.Or(u.Path, "/")
}

// An mcpReply is what counts of the answer to a request of the protocol.
type mcpReply struct {
	JSONRPC string `json:"jsonrpc"`
	Result  *struct {
		ProtocolVersion   string   `json:"protocolVersion"`   // of initialize
		SupportedVersions []string `json:"supportedVersions"` // of server/discover
		ServerInfo        mcpInfo  `json:"serverInfo"`
		Meta              struct {
			ServerInfo mcpInfo `json:"io.modelcontextprotocol/serverInfo"`
		} `json:"_meta"`
	} `json:"result"`
	Error *struct {
		Code int `json:"code"`
		Data struct {
			Supported []string `json:"supported"`
		} `json:"data"`
	} `json:"error"`
}

type mcpInfo struct {
	Version string `json:"version"`
}

// reply returns the answer as one of JSON-RPC, from JSON or from a stream of events.
func (a *Answer) reply() (r mcpReply, ok bool) {
	body := a.Body
	if strings.Contains(a.value("Content-Type"), "text/event-stream") {
		body = firstEvent(body)
	}
	if json.Unmarshal(body, &r) != nil || r.JSONRPC != "2.0" {
		return mcpReply{}, false
	}
	return r, true
}

// firstEvent returns the data of the first event that has some.
func firstEvent(stream []byte) []byte {
	var data []byte
	for line := range bytes.Lines(stream) {
		line = bytes.TrimRight(line, "\r\n")
		if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(rest, []byte(" "))...)
		} else if len(line) == 0 && len(data) > 0 {
			return data
		}
	}
	return data
}

// isDiscovered reports whether a answers server/discover as an MCP server of 2026-07-28 or
// later does: with the revisions that it supports, also in an error that says that the
// revision of the request is none of these.
func isDiscovered(a *Answer) (version string, ok bool) {
	r, ok := a.reply()
	switch {
	case !ok:
	case r.Result != nil && areRevisions(r.Result.SupportedVersions):
		return r.Result.Meta.ServerInfo.Version + r.Result.ServerInfo.Version, true
	case r.Error != nil && r.Error.Code == unsupportedVersion && areRevisions(r.Error.Data.Supported):
		return "", true
	}
	return "", false
}

// isInitialized reports whether a answers initialize as an MCP server does.
func isInitialized(a *Answer) (version string, ok bool) {
	r, ok := a.reply()
	if !ok || a.Status != 200 || r.Result == nil || !mcpRevision.MatchString(r.Result.ProtocolVersion) {
		return "", false
	}
	return r.Result.ServerInfo.Version, true
}

func areRevisions(list []string) bool {
	for _, v := range list {
		if mcpRevision.MatchString(v) {
			return true
		}
	}
	return false
}

// isEventEndpoint reports whether a is the beginning of the stream by which an MCP server
// of the revision 2024-11-05 names the address for messages.
func isEventEndpoint(a *Answer) bool {
	return a.Status == 200 && strings.Contains(a.value("Content-Type"), "text/event-stream") && bytes.HasPrefix(bytes.TrimLeft(a.Body, "\r\n"), []byte("event: endpoint"))
}
