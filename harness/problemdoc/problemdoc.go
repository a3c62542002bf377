// Package problemdoc checks problem documents (RFC 9457) for all of the harness: the
// load generator and the observer judge responses by it.
//
// The specification makes every member optional. A document without them helps nobody,
// so here a problem document must have a type, a title, the response's status and an
// instance, and its title or its detail must not be empty.
//
// It shares no code with package problem, which writes the service's documents: a
// mistake there must not hide itself here.
package problemdoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
)

// MediaType is the media type of problem documents.
const MediaType = "application/problem+json"

// Check returns an error that says what a response lacks to be a problem document of
// its status; nil if nothing. body is the complete body.
func Check(contentType string, body []byte, status int) error {
	// A mistake in the parameters only does not make it another type.
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || kind != MediaType {
		return fmt.Errorf("its type is %s, not %s", short(contentType), MediaType)
	}
	// Not into a struct: encoding/json would accept "Type" for "type".
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

// short returns the beginning of a value from outside, for an error.
func short[T string | json.RawMessage](value T) string {
	const most = 40
	if len(value) > most {
		return fmt.Sprintf("%q...", string(value[:most]))
	}
	return fmt.Sprintf("%q", string(value))
}
