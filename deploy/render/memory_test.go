package render_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The most memory that a replica needs, as measured by TestMemoryUnderHostileConnections
// of the service; docs/operations.md, "Size", has the figures.
const (
	withoutClients = 64 << 20
	perConnection  = 48 << 10
	withTLS        = 64 << 10 // for each encrypted connection, instead
)

// The pods' limit of memory, the one of the Go runtime and the number of connections
// agree, whichever way they are installed: whoever changes one of them must change the
// others.
func TestMemoryIsEnoughForConnections(t *testing.T) {
	for way, objects := range renderings(t) {
		found := false
		for _, o := range objects {
			if o.GetKind() != "Deployment" {
				continue
			}
			found = true
			text, err := json.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			var d appsv1.Deployment
			if err := json.Unmarshal(text, &d); err != nil {
				t.Fatal(err)
			}
			c := d.Spec.Template.Spec.Containers[0]
			env := map[string]string{}
			for _, e := range c.Env {
				env[e.Name] = e.Value
			}
			limit := c.Resources.Limits.Memory().Value()
			told, err := resource.ParseQuantity(strings.TrimSuffix(env["GOMEMLIMIT"], "B"))
			if err != nil || told.Value() < limit*85/100 || told.Value() > limit*90/100 {
				t.Errorf("%s: GOMEMLIMIT is %q, and must be between 85 %% and 90 %% of the limit of %d MiB", way, env["GOMEMLIMIT"], limit>>20)
			}
			connections, err := strconv.ParseInt(env["TOOLSET_MAX_CONNECTIONS"], 10, 64)
			each := int64(perConnection)
			if env["TOOLSET_TLS_CERT_FILE"] != "" {
				each = withTLS
			}
			if need := withoutClients + connections*each; err != nil || told.Value() < need {
				t.Errorf("%s: %q connections (%v) may need %d MiB, and GOMEMLIMIT is %s", way, env["TOOLSET_MAX_CONNECTIONS"], err, need>>20, env["GOMEMLIMIT"])
			}
		}
		if !found {
			t.Errorf("%s: no Deployment", way)
		}
	}
}
