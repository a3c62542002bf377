package overrides

import (
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

const maxHeaders = 16

// A variableField is a field of connection that has the name of an environment variable.
type variableField struct {
	name string
	of   func(*service.Variables) *string
}

var variableFields = []variableField{
	{"apiKeyEnv", func(v *service.Variables) *string { return &v.APIKey }},
	{"usernameEnv", func(v *service.Variables) *string { return &v.Username }},
	{"passwordEnv", func(v *service.Variables) *string { return &v.Password }},
	{"bearerTokenEnv", func(v *service.Variables) *string { return &v.BearerToken }},
	{"urlEnv", func(v *service.Variables) *string { return &v.URL }},
}

// connectionFields are the fields of connection.
var connectionFields = func() []string {
	fields := []string{"tenant", "headers", "tlsVerify", "caFile", "externalUrl"}
	for _, f := range variableFields {
		fields = append(fields, f.name)
	}
	return fields
}()

// secretFields are what people write who want to give the credentials themselves, and the
// field that they need.
var secretFields = map[string]string{
	"apikey": "apiKeyEnv", "key": "apiKeyEnv", "username": "usernameEnv", "user": "usernameEnv", "password": "passwordEnv",
	"token": "bearerTokenEnv", "bearertoken": "bearerTokenEnv", "bearer": "bearerTokenEnv",
}

// readConnection reads the field connection of an entry; nil if it is absent.
func readConnection(value strictyaml.Value) *service.Connection {
	if !value.Given() {
		return nil
	}
	m, ok := value.MappingOfNames(func(name string) string {
		if field := secretFields[strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))]; field != "" {
			return "is unknown, as no secret must be written here; give it to the agent as an environment variable, and write the name of that in " + field
		}
		return strictyaml.Unknown(name, connectionFields)
	})
	if !ok {
		return nil
	}
	if m.Len() == 0 {
		m.Bad("says nothing; leave it out, or write some of %s", strings.Join(connectionFields, ", "))
	}
	c := &service.Connection{
		Headers: readHeaders(m.Get("headers")),
		Tenant:  checked(m.Get("tenant"), endpoint.TenantProblem),
		CAFile:  checked(m.Get("caFile"), endpoint.FileProblem),
	}
	if verify := m.Get("tlsVerify").Bool(); verify != nil {
		skip := !*verify
		c.SkipVerify = &skip
	}
	if c.CAFile != "" && c.SkipVerify != nil && *c.SkipVerify {
		m.Get("caFile").Bad("makes no sense with tlsVerify: false, which accepts any certificate; remove one of them")
	}
	if v := m.Get("externalUrl"); v.Given() {
		var problem string
		if s := v.Text(); s != "" {
			if c.ExternalURL, problem = endpoint.Parse(s); problem != "" {
				v.Bad("%s", problem)
			}
		}
	}
	for _, f := range variableFields {
		*f.of(&c.Variables) = checked(m.Get(f.name), endpoint.VariableProblem)
	}
	v := &c.Variables
	switch {
	case m.Has("passwordEnv") && !m.Has("usernameEnv"):
		m.Get("usernameEnv").Bad("is missing, without which a password is of no use")
	case m.Has("usernameEnv") && !m.Has("passwordEnv"):
		m.Get("passwordEnv").Bad("is missing, without which a user name is of no use")
	case (v.APIKey != "" || v.BearerToken != "") && v.Username != "", v.APIKey != "" && v.BearerToken != "":
		m.Bad("has several kinds of credentials; keep apiKeyEnv, or bearerTokenEnv, or usernameEnv and passwordEnv")
	}
	return c
}

// checked returns a text for which problem returns nothing.
func checked(v strictyaml.Value, problem func(string) string) string {
	s := v.Text()
	if s == "" {
		return ""
	}
	if p := problem(s); p != "" {
		v.Bad("%s", p)
		return ""
	}
	return s
}

// readHeaders reads a mapping of names to values, each a text or {env: NAME}.
func readHeaders(value strictyaml.Value) []service.Header {
	if !value.Given() {
		return nil
	}
	m, ok := value.MappingOfNames(endpoint.HeaderProblem)
	if !ok {
		return nil
	}
	if len(m.Keys()) > maxHeaders {
		m.Bad("has %d headers; at most %d are accepted", len(m.Keys()), maxHeaders)
	}
	var headers []service.Header
	seen := map[string]string{}
	for _, name := range m.Keys() {
		v, h := m.Get(name), service.Header{Name: name}
		if first := seen[strings.ToLower(name)]; first != "" {
			v.Bad("is the same header as %s", first)
		}
		seen[strings.ToLower(name)] = name
		if v.IsMapping() {
			if env, ok := v.Mapping("env"); ok {
				if !env.Has("env") {
					env.Get("env").Bad("is missing; write the name of an environment variable of the agent")
				}
				h.Variable = checked(env.Get("env"), endpoint.VariableProblem)
			}
		} else {
			h.Value = checked(v, func(s string) string { return endpoint.HeaderValueProblem(name, s) })
		}
		headers = append(headers, h)
	}
	return headers
}

// connectionFieldsOf returns the names of the fields that c has, for people.
func connectionFieldsOf(c *service.Connection) string {
	var fields []string
	add := func(given bool, name string) {
		if given {
			fields = append(fields, name)
		}
	}
	add(c.Tenant != "", "tenant "+c.Tenant)
	for _, h := range c.Headers {
		add(true, "header "+h.Name)
	}
	add(c.SkipVerify != nil && *c.SkipVerify, "tlsVerify false")
	add(c.SkipVerify != nil && !*c.SkipVerify, "tlsVerify true")
	add(c.CAFile != "", "caFile "+c.CAFile)
	add(c.ExternalURL != "", "externalUrl "+c.ExternalURL)
	for _, f := range variableFields {
		name := *f.of(&c.Variables)
		add(name != "", f.name+" "+name)
	}
	return strings.Join(fields, ", ")
}
