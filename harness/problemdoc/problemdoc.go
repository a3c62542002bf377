// Package problemdoc says what a problem document (RFC 9457) is, for all of the
// harness: the load generator judges responses by it, the observer those of the
// probes.
//
// The specification makes every member optional. A document that has none of
// them helps nobody, so here a problem document has a type, a title, the
// response's status and the instance that it is about, and says something in its
// title or its detail.
//
// It shares no code with package problem, which writes the service's: a mistake
// there must not make itself right here.
package problemdoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
)

// MediaType is that of a problem document.
const MediaType = "application/problem+json"

// Check says what a response lacks to be a problem document of its own status;
// nil: nothing. contentType is the response's header, body all of its body.
func Check(contentType string, body []byte, status int) error {
	// What is wrong with its parameters only does not make it another type.
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || kind != MediaType {
		return fmt.Errorf("its type is %s, not %s", short(contentType), MediaType)
	}
	// Not into a struct: there "Type" would do for "type", which for other readers
	// of JSON are two names.
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(body, &doc); err != nil {
		return fmt.Errorf("it is no JSON object: %w", err)
	}
	var text struct{ kind, title, detail, instance string }
	var stated int
	for _, m := range []struct {
		name     string
		value    any
		required bool
	}{
		{"type", &text.kind, true}, {"title", &text.title, true}, {"status", &stated, true},
		{"detail", &text.detail, false}, {"instance", &text.instance, true},
	} {
		raw, ok := doc[m.name]
		if !ok || string(raw) == "null" {
			if m.required {
				return fmt.Errorf("it has no %s", m.name)
			}
			continue
		}
		if err := json.Unmarshal(raw, m.value); err != nil {
			return fmt.Errorf("its %s is %s: %w", m.name, short(raw), err)
		}
	}
	switch {
	case text.kind == "":
		return errors.New("its type is empty")
	case stated != status:
		return fmt.Errorf("its status is %d, the response's %d", stated, status)
	case text.title == "" && text.detail == "":
		return errors.New("its title and its detail are empty")
	case text.instance == "":
		return errors.New("its instance is empty")
	}
	return nil
}

// short is the beginning of a value from outside, for an error.
func short[T string | json.RawMessage](value T) string {
	const most = 40
	if len(value) > most {
		return fmt.Sprintf("%q...", string(value[:most]))
	}
	return fmt.Sprintf("%q", string(value))
}
