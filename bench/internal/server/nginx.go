package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/bench/internal/sut"
)

// nginx is a running nginx, which serves the answers as files.
type nginx struct {
	release string // "nginx/1.22.1"
	at      string // address
	cmd     *exec.Cmd
	log     *bytes.Buffer
	ended   chan struct{} // closed when the master has ended
	err     error         // of cmd.Wait; set before ended is closed
	all     []int         // process ids of the master and the worker
}

const (
	portTries   = 5
	connectTick = 10 * time.Millisecond
)

// nginxPrograms lists where to look for nginx. On Debian it is not in the PATH of ordinary
// users.
var nginxPrograms = []string{"nginx", "/usr/sbin/nginx"}

func nginxProgram() (string, error) {
	for _, name := range nginxPrograms {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("nginx is %w: apt-get install nginx-light", ErrMissing)
}

func startNginx(ctx context.Context, dir string, o Options) (started, error) {
	program, err := nginxProgram()
	if err != nil {
		return nil, err
	}
	if err := o.Answers.complete(); err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, program, "-v").CombinedOutput() // #nosec G204 -- found above
	if err != nil {
		return nil, fmt.Errorf("nginx -v: %w: %s", err, version)
	}
	_, release, _ := strings.Cut(strings.TrimSpace(string(version)), "version: ")
	files := map[string]string{ByName: "by-name.json", List4K: "list-4k.json", List400K: "list-400k.json"}
	for w, file := range files {
		// The worker reads them. It runs as the same user; see nginxConf.
		if err := os.WriteFile(filepath.Join(dir, file), o.Answers[w].Body, 0o600); err != nil {
			return nil, err
		}
	}
	// nginx needs a port number. Another program may take the free port before nginx does.
	for range portTries {
		var n *nginx
		if n, err = runNginx(ctx, program, dir, o); err == nil {
			n.release = release
			return n, nil
		}
		if !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return nil, err
}

func runNginx(ctx context.Context, program, dir string, o Options) (*nginx, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &nginx{at: free.Addr().String(), log: &bytes.Buffer{}, ended: make(chan struct{})}
	if err := errors.Join(free.Close(), n.configure(dir, o.TLS)); err != nil {
		return nil, err
	}
	n.cmd = exec.Command(program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf")) // #nosec G204 -- found in startNginx
	// On this signal the master also ends the worker.
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	n.cmd.Stderr = n.log
	if err := sut.OnCPU(o.CPU, n.cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		n.err = n.cmd.Wait()
		close(n.ended)
	}()
	err = n.ready(ctx, o.TLS != nil)
	if err == nil {
		n.all, err = family(n.cmd.Process.Pid)
	}
	if err != nil {
		return nil, errors.Join(err, n.stop())
	}
	return n, nil
}

func (n *nginx) configure(dir string, certificate *Certificate) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	var conf bytes.Buffer
	err := nginxConf.Execute(&conf, map[string]any{
		"Root": os.Geteuid() == 0, "Addr": n.at, "Dir": dir, "Files": min(limit.Max, 1<<20),
		"Connections": maxConnections, "One": listPath + "/" + askedName, "List": listPath, "Namespace": askedNamespace,
		"RequestID": requestID, "ServedBy": servedBy, "TLS": certificate,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "nginx.conf"), conf.Bytes(), 0o600)
}

// nginxConf has the settings with which nginx needs the least CPU time for these files
// (https://nginx.org/en/docs/http/ngx_http_core_module.html).
var nginxConf = template.Must(template.New("nginx.conf").Parse(`
{{if .Root}}user root;{{end}}
daemon off;
worker_processes 1;
worker_rlimit_nofile {{.Files}};
pid {{.Dir}}/nginx.pid;
error_log stderr warn;
events { worker_connections {{.Connections}}; }
http {
	client_body_temp_path {{.Dir}}/client_body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	access_log off;
	# A file that fits a buffer costs one read and one write; sendfile and tcp_nopush
	# cost four calls, and for small files more time than they save.
	sendfile off;
	output_buffers 2 512k;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	open_file_cache max=100 inactive=1h;
	open_file_cache_valid 1h;
	default_type application/json;
	# Without the fields that nginx sends for files and ours does not.
	max_ranges 0;
	add_header Last-Modified "";
	add_header X-Request-Id {{.RequestID}};
	add_header Cache-Control no-cache;
	add_header Vary Accept-Encoding;
	add_header X-Served-By {{.ServedBy}};
	map $arg_namespace $list {
		"" list-400k.json;
		{{.Namespace}} list-4k.json;
	}
	server {
		listen {{.Addr}}{{if .TLS}} ssl{{end}} backlog=4096;
		{{with .TLS}}
		ssl_certificate {{.Cert}};
		ssl_certificate_key {{.Key}};
		ssl_protocols TLSv1.3;
		{{end}}
		location = {{.One}} { alias {{.Dir}}/by-name.json; }
		location = {{.List}} { alias {{.Dir}}/$list; }
	}
}
`))

// ready waits until nginx answers a request.
func (n *nginx) ready(ctx context.Context, overTLS bool) error {
	addr := n.at
	if overTLS {
		addr = tlsScheme + addr
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("nginx did not answer within %v", startTimeout))
	defer cancel()
	for {
		_, err := ask(ctx, addr, request(target(ByName), nil), 1, false)
		select {
		case <-n.ended: // an answer came from another program
			return fmt.Errorf("nginx ended at once: %w", n.err)
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(connectTick):
		case <-n.ended:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// family returns the ids of nginx's processes, master and worker.
func family(pid int) ([]int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	all := []int{pid}
	for _, f := range strings.Fields(string(b)) {
		child, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		all = append(all, child)
	}
	if len(all) != 2 {
		return nil, fmt.Errorf("nginx has %d processes, not a master and a worker", len(all))
	}
	return all, nil
}

func (n *nginx) addr() string    { return n.at }
func (n *nginx) pids() []int     { return n.all }
func (n *nginx) version() string { return n.release }

func (n *nginx) stop() error {
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-n.ended:
	case <-time.After(stopTimeout):
		for _, pid := range n.all { // the worker would survive the master
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = n.cmd.Process.Kill()
		<-n.ended
	}
	if n.err != nil {
		return fmt.Errorf("nginx: %w: %s", n.err, n.log)
	}
	return nil
}
