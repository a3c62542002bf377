package verify_test

import (
	"fmt"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// In each protocol a right server passes, and each planted defect is caught.
func TestProtocols(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for _, p := range defects.Protocols() {
		name := p.Speaks + "-right"
		if p.Name != "" {
			name = p.Speaks + "-" + p.Name
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := defectstest.Verify(t, p.Case, func(try int) (*record.Run, error) {
				o, err := shared.subject.ProtocolOptions(&p, fmt.Sprintf("%s-%d", name, try))
				if err != nil {
					return nil, err
				}
				o.Say = t.Logf
				return verify.Run(t.Context(), c, o)
			})
			want := verifyProtocol[p.Speaks]
			for i := range run.Requests {
				if got := run.Requests[i].Protocol; got != want {
					t.Fatalf("a request was sent by %s, not %s", got, want)
				}
			}
		})
	}
}

var verifyProtocol = map[string]record.Protocol{
	"https": record.HTTP1, "h2": record.HTTP2, "h2c": record.HTTP2, "grpc": record.GRPC, "websocket": record.WebSocket,
}
