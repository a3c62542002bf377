package products

import (
	"context"
	"fmt"
)

// The products that are built from their Go modules. Those under the AGPL, such as Loki,
// Mimir and Tempo, are not: for them there are recordings of what their documentation says.
var (
	victoriaMetricsModule = &Module{
		Name: "victoriametrics", Package: "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", Require: "github.com/VictoriaMetrics/VictoriaMetrics",
		flags: func(v string) string {
			return "-X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-metrics-20260101-000000-tags-" + v + "-0-g000000000"
		},
	}
	vmauthModule = &Module{
		Name: "victoriametrics", Package: "github.com/VictoriaMetrics/VictoriaMetrics/app/vmauth", Require: "github.com/VictoriaMetrics/VictoriaMetrics",
		flags: func(v string) string {
			return "-X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=vmauth-20260101-000000-tags-" + v + "-0-g000000000"
		},
	}
	victoriaLogsModule = &Module{
		Name: "victorialogs", Package: "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs", Require: "github.com/VictoriaMetrics/VictoriaLogs",
		flags: func(v string) string {
			return "-X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-logs-20260101-000000-tags-" + v + "-0-g000000000"
		},
	}

	// VictoriaMetrics is a new one.
	VictoriaMetrics = &Software{
		Name: "victoriametrics", Product: "VictoriaMetrics", Kind: "victoriametrics", Setup: "single node",
		find: victoriaMetricsModule.find, ready: "/health", setUp: setUpVictoriaMetrics,
	}
	VictoriaLogs = &Software{
		Name: "victorialogs", Product: "VictoriaLogs", Kind: "victorialogs",
		find: victoriaLogsModule.find, ready: "/health", setUp: setUpVictoriaMetrics,
	}
	// VMAuth is the proxy of VictoriaMetrics' authors, in front of a VictoriaMetrics.
	VMAuth = &Software{
		Name: "vmauth", Product: "VictoriaMetrics", Kind: "victoriametrics", Setup: "behind vmauth, which lets all in", NoPrefix: true,
		find: vmauthModule.find, ready: "/vmui/config.json", setUp: setUpVMAuth,
	}
)

func setUpVMAuth(r *run) error {
	program, _, err := victoriaMetricsModule.find(context.Background())
	if err != nil {
		return err
	}
	behind := fmt.Sprintf("127.0.0.1:%d", r.ports[0])
	p, err := start(r.dir, program, []string{"-httpListenAddr=" + behind, "-storageDataPath=" + r.dir + "/data"}, nil)
	if err != nil {
		return err
	}
	r.helpers = append(r.helpers, p)
	config, err := r.file("auth.yml", "unauthorized_user: {url_prefix: 'http://"+behind+"'}\n")
	r.args = []string{"-httpListenAddr=" + r.address(), "-auth.config=" + config}
	return err
}

// Modules returns all that can be built; those that take long only with big.
func Modules(big bool) []*Module {
	all := []*Module{victoriaMetricsModule, vmauthModule, victoriaLogsModule}
	if big {
		all = append(all, bigModules...)
	}
	return all
}
