package holmesgpt

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// database returns the entry of a database, which HolmesGPT reaches by a URL in an
// environment variable; nil if t is none.
func (t *Toolset) database() (entry []byte, tools int) {
	kind := databases[t.Type]
	if kind == "" {
		return nil, 0
	}
	variable := t.Connection.Variables.URL
	if variable == "" {
		variable = t.urlVariable()
	}
	config := concat([]setting{text("connection_url", env(variable)), {name: "read_only", value: "true"}}, t.verify())
	b := append([]byte(nil), "  "+t.databaseKey()+":\n    type: "+quote(kind)+"\n    enabled: true\n    description: "+quote(t.described())+
		"\n    llm_instructions: "+quote("Database "+t.place()+". "+prose(t.Description))+"\n    config:\n"...)
	return write(b, 6, config), map[string]int{"database": 3, "mongodb": 7}[kind]
}

// urlVariable returns the variable with the URL of a database of which nobody has said
// another: its namespace and name in capital letters, with _DATABASE_URL.
func (t *Toolset) urlVariable() string {
	name := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(t.Namespace + "_" + t.Name))
	if name[0] >= '0' && name[0] <= '9' {
		name = "N" + name
	}
	return name[:min(len(name), 100)] + "_DATABASE_URL"
}

// databaseKey returns the key of a database. HolmesGPT makes the names of its tools from
// it, with other characters than letters and digits replaced by underscores. So it has a
// hash: with it, nobody can choose a name that gives the same tools, or too long ones.
func (t *Toolset) databaseKey() string {
	sum := sha256.Sum256([]byte(t.String()))
	name := strings.ReplaceAll(t.Namespace+"-"+t.Name, ".", "-")
	return keyPrefix + strings.TrimRight(name[:min(len(name), 16)], "-") + "-" + hex.EncodeToString(sum[:8])
}
