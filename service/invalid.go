package service

import (
	"strings"

	"kubernaut.io/dynamic-toolset/problem"
)

// An Invalid says what is wrong with one member of a document. Field is its path, such as
// "tools[2].endpoint"; empty for the document itself. Pointer is the same path for
// programs; it is not set for overrides, which are YAML.
type Invalid struct {
	Field   string
	Message string
	Pointer problem.Pointer
}

// MaxInvalid is how many mistakes are reported for one document. Nobody reads more.
const MaxInvalid = 100

// FieldName makes a field name from an untrusted document fit for an [Invalid]: short, and
// valid UTF-8.
func FieldName(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}
