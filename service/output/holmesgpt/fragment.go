package holmesgpt

import (
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// A Fragment is a rendered toolset, in each form that it may have in a document. It can be
// used in any number of documents.
type Fragment struct {
	ref         string // namespace/name
	place       string
	description string
	described   string

	slot  slot
	flat  []setting // nil if it can't fill the slot
	first []setting // the same as the first of the slot, with credentials that nobody has named
	http  *httpPart // nil if it is read by tools of its own
	entry []byte    // as a toolset of its own; nil if there is none
	tools int       // of entry
	curl  []byte    // as entry, of curl commands for any kind; nil if there is nothing to read
	curls int       // tools of curl
	mcp   []byte    // as an MCP server; nil if it is none
}

// Empty reports whether HolmesGPT can't do anything with the toolset.
func (f *Fragment) Empty() bool {
	return f.flat == nil && f.http == nil && f.entry == nil && f.mcp == nil
}

// Render renders t. An error wraps ErrUnsafe. The Fragment is empty if there is nothing to
// read, or if the address is that of HolmesGPT's own machine or of its cloud's metadata, to
// which whoever may annotate a Service must not direct an agent.
func Render(t Toolset) (*Fragment, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	u, err := t.url()
	if err != nil {
		return nil, err
	}
	f := &Fragment{ref: t.String(), place: t.place(), description: prose(t.Description), described: t.described(), slot: slots[t.Type]}
	if endpoint.IsPrivate(u.Hostname()) {
		return f, nil
	}
	if f.first = t.flat(u); t.Connection.Variables.Usual {
		t.Connection.Variables = service.Variables{}
	}
	if f.mcp = t.mcp(u); f.mcp != nil || t.Type == typeMCP {
		return f, nil
	}
	if f.entry, f.tools = t.database(); f.entry != nil {
		return f, nil
	}
	f.flat = t.flat(u)
	if !t.readable(u) {
		return f, nil
	}
	f.curl, f.curls = t.custom(toolsFor(t.Type))
	switch _, known := tools[t.Type]; {
	case f.flat != nil && f.slot != slotRabbitMQ:
	case known && !t.needsSecrets():
		f.entry, f.tools = f.curl, f.curls
	default:
		f.http = t.http()
	}
	return f, nil
}

// place says which back end it is: "prometheus of the Service p in namespace monitoring".
func (t *Toolset) place() string {
	return t.Type + " of the Service " + t.Name + " in namespace " + t.Namespace
}

// described returns the description with the name and address of the back end.
func (t *Toolset) described() string {
	return prose(t.Description) + " (" + t.place() + ", " + t.Endpoint + t.Path + ")"
}

// needsSecrets reports whether requests need an environment variable, which curl commands
// can't have: HolmesGPT shows them to the model with the value in it.
func (t *Toolset) needsSecrets() bool {
	return secret(concat(t.headers("headers", true), t.credentials("x", "x")))
}

// custom renders t as a toolset with tools of its own, curl commands; nil if there are
// none. If nothing answers at the address, HolmesGPT shows it as failed.
func (t *Toolset) custom(list []tool) (entry []byte, tools int) {
	if len(list) == 0 {
		return nil, 0
	}
	b := append([]byte(nil), "  "+t.key()+":\n    enabled: true\n    description: "+quote(t.described())+
		"\n    llm_instructions: "+quote(t.place()+". "+prose(t.Description))+
		"\n    prerequisites:\n      - command: "+quote(alive(t.Endpoint+t.Path+"/", t.curlOptions()))+"\n    tools:\n"...)
	for i := range list {
		tool := &list[i]
		b = append(b, "      - name: "+quote(t.toolName(tool.verb))+
			"\n        description: "+quote(tool.description+" ("+t.Type+" "+t.Name+" in namespace "+t.Namespace+").")+
			"\n        command: "+quote(tool.command(t.Endpoint+t.Path, t.curlOptions()))+"\n"...)
		if len(tool.params) == 0 {
			continue
		}
		b = append(b, "        parameters:\n"...)
		for _, p := range tool.params {
			required := "true"
			if !tool.required(p.name) {
				required = "false"
			}
			b = append(b, "          "+p.name+":\n            description: "+quote(prose(p.description))+"\n            type: \"string\"\n            required: "+required+"\n"...)
		}
	}
	return b, len(list)
}

// curlOptions returns what the connection says as options of curl, each with a space in
// front. Values have no quotes. What is in a variable is left out: see needsSecrets.
func (t *Toolset) curlOptions() string {
	c := &t.Connection
	var s string
	if c.SkipVerify != nil && *c.SkipVerify {
		s += " --insecure"
	}
	if c.CAFile != "" {
		s += " --cacert '" + c.CAFile + "'"
	}
	if c.Tenant != "" {
		s += " -H '" + service.TenantHeader + ": " + c.Tenant + "'"
	}
	for _, h := range c.Headers {
		if h.Variable == "" {
			s += " -H '" + h.Name + ": " + h.Value + "'"
		}
	}
	return s
}
