package render

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run ./cmd/render copy ..

// copies are the files that the chart has copies of, since Helm reads nothing outside a
// chart: source and copy, relative to deploy/.
var copies = [][2]string{
	{"components/monitoring/prometheusrule.yaml", "chart/files/prometheusrule.yaml"},
	{"components/monitoring/dashboard.json", "chart/files/dashboard.json"},
}

// Copy updates the chart's copies in the folder deploy.
func Copy(deploy string) error {
	for _, c := range copies {
		text, err := os.ReadFile(filepath.Join(deploy, c[0]))
		if err != nil {
			return err
		}
		to := filepath.Join(deploy, c[1])
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { // #nosec G301 -- as a checkout's are
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil { // #nosec G306 -- as a checkout's are
			return err
		}
	}
	return nil
}

// Stale returns those of the chart's copies that differ from their sources.
func Stale(deploy string) ([]string, error) {
	var stale []string
	for _, c := range copies {
		source, err := os.ReadFile(filepath.Join(deploy, c[0]))
		if err != nil {
			return nil, err
		}
		copied, err := os.ReadFile(filepath.Join(deploy, c[1]))
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		if !bytes.Equal(source, copied) {
			stale = append(stale, fmt.Sprintf("%s differs from %s; renew it: cd deploy/render && go generate", c[1], c[0]))
		}
	}
	return stale, nil
}
