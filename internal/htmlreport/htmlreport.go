// Package htmlreport is what reports that are one HTML file have in common: their look,
// and a content security policy by which they load nothing, and run nothing but what
// they were written with.
package htmlreport

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// Style is the look of a page's letters and tables, light or dark as the reader has it.
//
//go:embed page.css
var Style string

// Policy is the content security policy of a page with this style element, and this
// script element if it has one: the one and the other are allowed by their hashes,
// nothing else is. Were markup from outside to get in, it could load and run nothing.
func Policy(style, script string) string {
	policy := "default-src 'none'; style-src '" + hash(style) + "'; "
	if script != "" {
		policy += "script-src '" + hash(script) + "'; "
	}
	return policy + "base-uri 'none'; form-action 'none'"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Write fills a template in and writes the page, or nothing of it if the template
// fails. Characters that change how those around them are seen are replaced: the
// template, the style and the script must have none.
func Write(w io.Writer, t *template.Template, view any) error {
	var out strings.Builder
	if err := t.Execute(&out, view); err != nil {
		return fmt.Errorf("the page's template: %w", err)
	}
	_, err := io.WriteString(w, format.Visible(out.String()))
	return err
}
