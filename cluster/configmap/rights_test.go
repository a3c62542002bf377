package configmap

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	rbacv1 "k8s.io/api/rbac/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
)

// A missing right to watch the ConfigMap is reported like one to watch Services.
func TestConfigMapWatchForbidden(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	rule := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{cmName}, Verbs: verbs}
	}
	a.Grant(user, "writes", rule("list", "create", "patch"))
	core, logs := observer.New(zap.InfoLevel)
	var refused clustertest.Tally
	a.writeAs(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), a.NS, "doc", func(o *Options) {
		o.Logger, o.OnForbidden = zap.New(core), refused.Note
	})
	a.wantDoc(soon, "doc")
	testenv.Eventually(t, soon, "the refusal", func() bool { return refused.Count("watch configmaps") > 0 })
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	begin := time.Now()
	time.Sleep(5 * time.Second)
	if n, most := refused.Count("watch configmaps"), 2+int(time.Since(begin)/(9*time.Second)); n > most {
		t.Errorf("%d tries in %v", n, time.Since(begin))
	}
	t.Logf("repaired %v later, without the right to watch", a.wantDoc(12*time.Second, "doc"))
	lines := logs.FilterMessageSnippet("cannot be watched").All()
	if len(lines) != 1 || lines[0].Level != zap.ErrorLevel || !strings.Contains(fmt.Sprint(lines[0].ContextMap()), user+` may not watch configmaps "`+cmName+`"`) {
		t.Errorf("log: %v", lines)
	}
	if n := logs.FilterMessageSnippet("followed again").Len(); n > 0 {
		t.Errorf("a recovery is logged %d times, and there was none", n)
	}
}

// A missing right to patch is logged, and then one to create too.
func TestWriteErrorLogTellsEachRight(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	var c writeErrorLog
	for _, verb := range []string{"patch", "patch", "create", "create"} {
		c.tell(zap.New(core), &cluster.Error{Text: "x", Kind: &cluster.MissingRight{Verb: verb}, Cause: context.Canceled})
	}
	if logs.Len() != 2 {
		t.Errorf("%v", logs.All())
	}
}
