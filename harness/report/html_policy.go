package report

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// policy returns the content security policy of a page. By their hashes, it allows this
// style element and this script element, if there is one, and nothing else. If markup
// from outside got in, it could load and run nothing.
func policy(style, script string) string {
	text := "default-src 'none'; style-src '" + hash(style) + "'; "
	if script != "" {
		text += "script-src '" + hash(script) + "'; "
	}
	return text + "base-uri 'none'; form-action 'none'"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// writeTemplate executes a template and writes the page; if the template fails, it
// writes nothing. It replaces characters that change how others are displayed, so the
// template, the style and the script must have none.
func writeTemplate(w io.Writer, t *template.Template, view any) error {
	var out strings.Builder
	if err := t.Execute(&out, view); err != nil {
		return fmt.Errorf("the page's template: %w", err)
	}
	_, err := io.WriteString(w, format.Visible(out.String()))
	return err
}
