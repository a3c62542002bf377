package health

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// A process is a real back end that a test starts and kills.
type process struct {
	t    *testing.T
	args []string
	dir  string
	cmd  *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Dir = p.dir
	out, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill is kill -9: the back end can't close anything.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

func (p *process) log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// find returns the path of a program that has one of these names.
func find(t *testing.T, debian string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testenv.Missing(t, "the program "+names[0], "On Debian and Ubuntu: apt-get install "+debian)
	return ""
}

// Real Prometheus and Alertmanager, killed and started again.
func TestRealBackends(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts Prometheus and Alertmanager")
	}
	for _, tt := range []struct {
		name, debian string
		programs     []string
		config       string
		args         func(dir, config string, port int) []string
	}{
		{
			name: "prometheus", debian: "prometheus", programs: []string{"prometheus"},
			config: "global:\n  scrape_interval: 15s\n",
			args: func(dir, config string, port int) []string {
				return []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
					fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port)}
			},
		},
		{
			name: "alertmanager", debian: "prometheus-alertmanager", programs: []string{"prometheus-alertmanager", "alertmanager"},
			config: "route:\n  receiver: none\nreceivers:\n- name: none\n",
			args: func(dir, config string, port int) []string {
				return []string{"--config.file=" + config, "--storage.path=" + filepath.Join(dir, "data"),
					"--cluster.listen-address=", fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port)}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			program := find(t, tt.debian, tt.programs...)
			dir, port := t.TempDir(), freePort(t)
			config := filepath.Join(dir, "config.yml")
			if err := os.WriteFile(config, []byte(tt.config), 0o600); err != nil {
				t.Fatal(err)
			}
			backend := &process{t: t, dir: dir, args: append([]string{program}, tt.args(dir, config, port)...)}
			defer backend.kill()
			defer func() {
				if t.Failed() {
					t.Log(backend.log())
				}
			}()

			r := newRecorder()
			o := fast(r)
			o.Interval = 100 * time.Millisecond
			c := start(t, o)
			c.Set(testKey, httpProbe(fmt.Sprintf("http://127.0.0.1:%d/-/healthy", port)))
			healthy := func(h service.Health) bool {
				return h.Healthy && strings.HasPrefix(h.Reason, "GET /-/healthy answered 200 in ")
			}
			dead := func(h service.Health) bool {
				return !h.Healthy && strings.HasPrefix(h.Reason, fmt.Sprintf("connection refused by 127.0.0.1:%d", port))
			}

			r.until(t, "unhealthy before its start", dead)
			backend.start()
			r.until(t, "healthy after its start", healthy)
			// Over the kept connection as well.
			for range 3 {
				if h := r.next(t); !healthy(h) {
					t.Fatalf("%+v", h)
				}
			}
			backend.kill()
			h := r.until(t, "unhealthy after kill -9", dead)
			if h.History[0].Attempts != 3 {
				t.Errorf("%+v", h)
			}
			backend.start()
			r.until(t, "healthy again", healthy)
		})
	}
}
