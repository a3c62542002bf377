package snapshot

import "kubernaut.io/dynamic-toolset/service"

// connectionJSON is in the HTTP API what people say about how agents connect. It holds no
// secrets: those are in the environment variables that it names.
type connectionJSON struct {
	Tenant         string       `json:"tenant,omitempty"`
	Headers        []headerJSON `json:"headers,omitempty"`
	TLSVerify      *bool        `json:"tlsVerify,omitempty"`
	CAFile         string       `json:"caFile,omitempty"`
	ExternalURL    string       `json:"externalUrl,omitempty"`
	APIKeyEnv      string       `json:"apiKeyEnv,omitempty"`
	UsernameEnv    string       `json:"usernameEnv,omitempty"`
	PasswordEnv    string       `json:"passwordEnv,omitempty"`
	BearerTokenEnv string       `json:"bearerTokenEnv,omitempty"`
	URLEnv         string       `json:"urlEnv,omitempty"`
}

// headerJSON is a header, with one of value and env.
type headerJSON struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	Env   string `json:"env,omitempty"`
}

// connectionOf returns what the API shows of c; nil if nobody has said anything.
func connectionOf(c *service.Connection) *connectionJSON {
	if c == nil {
		return nil
	}
	v := &c.Variables
	out := &connectionJSON{
		Tenant: c.Tenant, CAFile: c.CAFile, ExternalURL: c.ExternalURL,
		APIKeyEnv: v.APIKey, UsernameEnv: v.Username, PasswordEnv: v.Password, BearerTokenEnv: v.BearerToken, URLEnv: v.URL,
	}
	for _, h := range c.Headers {
		out.Headers = append(out.Headers, headerJSON{Name: h.Name, Value: h.Value, Env: h.Variable})
	}
	if c.SkipVerify != nil {
		verify := !*c.SkipVerify
		out.TLSVerify = &verify
	}
	return out
}
