package holmesgpt

import (
	"fmt"
	"strings"
)

// An httpPart is what a back end adds to a toolset of the type http, which is one tool for
// all back ends in it.
type httpPart struct {
	shared []byte // settings of the whole toolset
	group  string // only back ends with equal ones share a toolset
	item   []byte // in its list of endpoints
	guide  string // lines of its instructions
}

// http returns the part of t, which must be readable.
func (t *Toolset) http() *httpPart {
	base, rest := t.Endpoint, t.Path
	scheme, host, _ := strings.Cut(base, "://")
	host, path, found := strings.Cut(host, "/")
	if found {
		rest = "/" + path + rest
	}
	b := append([]byte(nil), "        - hosts:\n            - "+quote(scheme+"://"+host)+"\n"...)
	if rest != "" {
		b = append(b, "          paths:\n            - "+quote(rest)+"\n            - "+quote(rest+"/*")+"\n"...)
	}
	b = append(b, "          methods:\n            - \"GET\"\n"...)
	p := &httpPart{shared: write(nil, 6, concat(t.headers("default_headers", false), t.verify()))}
	auth := write(nil, 10, t.auth())
	p.item = append(b, auth...)
	// A variable that is not set makes all of a toolset fail, so only those that need the same
	// ones are together.
	p.group = string(p.shared) + string(auth)
	p.guide = "- " + t.Endpoint + t.Path + ": " + t.place() + ". " + prose(t.Description)
	for _, tool := range tools[t.Type] {
		p.guide += "\n  - " + prose(tool.description+": "+tool.request())
	}
	return p
}

// auth returns the setting for the credentials of one endpoint.
func (t *Toolset) auth() []setting {
	v := &t.Connection.Variables
	token := v.BearerToken
	if token == "" {
		token = v.APIKey
	}
	switch {
	case token != "":
		return []setting{{name: "auth", sub: []setting{text("type", "bearer"), text("token", env(token))}}}
	case v.Username != "":
		return []setting{{name: "auth", sub: []setting{text("type", "basic"), text("username", env(v.Username)), text("password", env(v.Password))}}}
	}
	return nil
}

// maxEndpoints bounds the back ends in one toolset of the type http.
const maxEndpoints = 50

const httpDescription = "Reads back ends of the cluster by HTTP GET."

// httpEntries returns entries of the type http for all parts: as few as possible.
func httpEntries(parts []*httpPart) (entries [][]byte) {
	groups := map[string][]*httpPart{}
	var order []string
	for _, p := range parts {
		if groups[p.group] == nil {
			order = append(order, p.group)
		}
		groups[p.group] = append(groups[p.group], p)
	}
	for _, name := range order {
		for group := groups[name]; len(group) > 0; {
			n := min(len(group), maxEndpoints)
			entries = append(entries, httpEntry(len(entries), group[:n]))
			group = group[n:]
		}
	}
	return entries
}

// httpEntry returns the entry with this index.
func httpEntry(index int, parts []*httpPart) []byte {
	key := keyPrefix + "http"
	if index > 0 {
		key += fmt.Sprintf("-%d", index+1)
	}
	guide := []string{"Back ends of the cluster that are read by GET, with the URL from this list and a path below it:"}
	for _, p := range parts {
		guide = append(guide, p.guide)
	}
	b := append([]byte(nil), "  "+key+":\n    type: \"http\"\n    enabled: true\n    description: "+quote(httpDescription)+
		"\n    llm_instructions: "+quote(strings.Join(guide, "\n"))+"\n    config:\n"+string(parts[0].shared)+"      endpoints:\n"...)
	for _, p := range parts {
		b = append(b, p.item...)
	}
	return b
}
