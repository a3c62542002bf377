package report

import (
	"bytes"
	"html/template"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	whole := template.Must(template.New("").Parse("<p>{{.}}"))
	if err := writeTemplate(&out, whole, "<script>\x1b\u202e"); err != nil || out.String() != "<p>&lt;script&gt;\ufffd\ufffd" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	half := template.Must(template.New("").Parse("<p>{{.Missing}}"))
	if err := writeTemplate(&out, half, struct{}{}); err == nil || out.Len() > 0 {
		t.Errorf("half a page was written: %q, %v", out.String(), err)
	}
}

// The hash of an empty text is well known.
func TestPolicy(t *testing.T) {
	const empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
	if got := policy("", ""); !strings.Contains(got, "style-src "+empty+";") || strings.Contains(got, "script-src") || !strings.HasPrefix(got, "default-src 'none';") {
		t.Error(got)
	}
	if got := policy("", "1"); !strings.Contains(got, "script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='") {
		t.Error(got)
	}
}
