package service

import (
	"strings"

	"kubernaut.io/dynamic-toolset/problem"
)

// An Invalid says what is wrong with one member of a document. Field is its path,
// such as "tools[2].endpoint"; empty for the document itself. Pointer is the same for
// programs; there is none into the overrides, which are YAML in a ConfigMap.
type Invalid struct {
	Field   string
	Message string
	Pointer problem.Pointer
}

// MaxInvalid is how much is said to be wrong with one document: beyond that nobody reads on.
const MaxInvalid = 100

// FieldName makes a name that a stranger gave to a field fit for an [Invalid]: short, and
// UTF-8.
func FieldName(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}
