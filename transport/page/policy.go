package page

import (
	"crypto/sha256"
	"encoding/base64"
)

// Policy is the content security policy of the page (W3C, Content Security Policy Level 3).
// It allows its own style and script by their hashes, requests of that script and forms to
// where the page comes from, and the icon, which is in the page. If markup from outside got
// in, it could load and run nothing.
var Policy = "default-src 'none'; style-src '" + hash(style) + "'; script-src '" + hash(script) + "'; " +
	"connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
