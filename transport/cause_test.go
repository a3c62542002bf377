package transport_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// missing is an error with a text for clients.
type missing struct{}

func (missing) Error() string  { return "at 192.0.2.1: secret" }
func (missing) Public() string { return "it may not list services" }

// A client learns the cause of a failed command if the error has a text for clients, and
// never the text of any other error.
func TestProblemCauseOfFailedCommands(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("wrapped: %w", missing{}), "The cause: it may not list services."},
		{errors.New("at 192.0.2.1: secret"), "The cause is in the service's log."},
	} {
		f := start(t, func(o *options) {
			o.Discover = func(context.Context) error { return c.err }
			o.Generate = func(context.Context) (string, error) { return "", c.err }
		})
		for _, path := range []string{"/api/v1/discover?wait=5s", "/api/v1/toolsets/generate"} {
			d := wantProblem(t, f.do("POST", path, "", "Content-Type", "application/json"), 503, "service-unavailable")
			if !strings.HasSuffix(d.Detail, " "+c.want) || strings.Contains(d.Detail, "secret") {
				t.Errorf("%s with %q: %q", path, c.err, d.Detail)
			}
		}
	}
}
