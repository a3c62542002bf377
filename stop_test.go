package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// stuck is how long a test waits for what takes milliseconds on an idle machine. It
// decides nothing but when to give up.
const stuck = time.Minute

// A told is a process whose log is read and which is sent signals.
type told struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{} // closed when it has ended

	mu  sync.Mutex
	log []string
}

// tell starts cmd; its standard error is read line by line.
func tell(t *testing.T, cmd *exec.Cmd) *told {
	t.Helper()
	// A child inherits what is ignored, as it is below nohup; what is caught is
	// reset.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &told{t: t, cmd: cmd, lines: make(chan string, 10_000), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.mu.Lock()
			p.log = append(p.log, s.Text())
			p.mu.Unlock()
			p.lines <- s.Text()
		}
		_ = cmd.Wait() // its state says how it ended
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended if the test passed
		<-p.done
	})
	return p
}

// until waits for a line of the log that has text.
func (p *told) until(text string) string {
	p.t.Helper()
	timeout := time.After(stuck)
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				<-p.done
				p.t.Fatalf("it ended (%v) and never said %q:\n%s", p.cmd.ProcessState, text, p.all())
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			p.t.Fatalf("it never said %q:\n%s", text, p.all())
		}
	}
}

func (p *told) send(signals ...syscall.Signal) {
	p.t.Helper()
	for _, sig := range signals {
		if err := p.cmd.Process.Signal(sig); err != nil {
			p.t.Fatalf("%v: %v\n%s", sig, err, p.all())
		}
	}
}

// ends waits for the end, which must be by an exit with code.
func (p *told) ends(code int) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(stuck):
		p.t.Fatalf("it does not end:\n%s", p.all())
	}
	if state := p.cmd.ProcessState; state.ExitCode() != code { // -1 if by a signal
		p.t.Errorf("it ended with %v, want exit code %d:\n%s", state, code, p.all())
	}
}

func (p *told) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *told) says(text string) {
	p.t.Helper()
	if !strings.Contains(p.all(), text) {
		p.t.Errorf("it never said %q:\n%s", text, p.all())
	}
}

func (p *told) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// serving is the service with a folder of manifests, and further args.
func serving(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	for i := range 40 {
		name := fmt.Sprint("prometheus-", i)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(fmt.Sprintf(prometheusManifest, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return command(t, slices.Concat([]string{"serve", "--manifests", dir, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
		"--health-interval", "1h", "--shutdown-propagation-delay", "50ms", "--log-format", "json"}, args)...)
}

var stopSignals = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

// waitForReader returns once somebody waits for the pipe at path to be written.
func (p *told) waitForReader(path string) {
	t := p.t
	t.Helper()
	for end := time.Now().Add(stuck); time.Now().Before(end) && !p.ended(); time.Sleep(time.Millisecond) {
		f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			t.Cleanup(func() { _ = f.Close() }) // the reader waits for more
			return
		}
		if !errors.Is(err, syscall.ENXIO) {
			t.Fatal(err)
		}
	}
	t.Fatalf("nobody reads the file:\n%s", p.all())
}

// A service that is told to stop while it starts ends with 0: what it waits for at
// that moment is a file that never ends. Another command has failed then, and says
// so as a shell expects it.
func TestSignalsWhileItStarts(t *testing.T) {
	for _, c := range []struct {
		moment string
		args   []string // before the name of the file
	}{
		{"settings", []string{"serve", "--config"}},
		{"settings without a command", []string{"--config"}},
		{"rules", []string{"serve", "--manifests", t.TempDir(), "--log-format", "json", "--rules"}},
		{"kubeconfig", []string{"serve", "--log-format", "json", "--kubeconfig"}},
		{"health CA", []string{"serve", "--manifests", t.TempDir(), "--health-ca-file"}},
		{"generate: rules", []string{"generate", "--manifests", t.TempDir(), "--rules"}},
		{"generate: overrides", []string{"generate", "--manifests", t.TempDir(), "--overrides"}},
		{"generate: kubeconfig", []string{"generate", "--kubeconfig"}},
	} {
		for _, sig := range stopSignals {
			t.Run(fmt.Sprintf("%s/%v", c.moment, sig), func(t *testing.T) {
				pipe := filepath.Join(t.TempDir(), "pipe")
				if err := syscall.Mkfifo(pipe, 0o600); err != nil {
					t.Fatal(err)
				}
				p := tell(t, command(t, append(slices.Clone(c.args), pipe)...))
				p.waitForReader(pipe)
				p.send(sig)
				if c.args[0] == "generate" {
					p.ends(128 + int(sig))
					p.says(sig.String())
					return
				}
				p.ends(0)
				if !strings.Contains(p.all(), "told to stop before it has served anything") {
					p.says("Received shutdown signal")
					p.says("Nothing has been served yet")
				}
			})
		}
	}
}

// The signals are caught before the packages of Kubernetes are initialised, which
// takes longer than all else before main.
func TestSignalsBeforeMain(t *testing.T) {
	for _, sig := range stopSignals {
		cmd := serving(t)
		cmd.Env = append(cmd.Env, "GODEBUG=inittrace=1") // a line for each package
		p := tell(t, cmd)
		p.until("init kubernaut.io/dynamic-toolset/internal/signals ")
		p.send(sig)
		p.ends(0)
		for _, line := range strings.Split(p.all(), "\n") {
			if strings.HasPrefix(line, "init k8s.io/") {
				t.Errorf("initialised before the signals are caught: %s", line)
			}
			if strings.HasPrefix(line, "init kubernaut.io/dynamic-toolset/internal/signals ") {
				break
			}
		}
	}
}

// abyss is an API server that accepts connections and never answers. It returns a
// kubeconfig and what tells of connections.
func abyss(t *testing.T) (kubeconfig string, connected <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			conns <- c
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}],
clusters: [{name: a, cluster: {server: "http://%s"}}], users: [{name: a, user: {}}]}`, l.Addr())
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, conns
}

// Before the first sync there is a listener already, so that the whole sequence runs;
// an API server that never answers does not hold it up.
func TestSignalsBeforeTheFirstSync(t *testing.T) {
	for _, sig := range stopSignals {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel() // it mostly waits
			kubeconfig, connected := abyss(t)
			p := tell(t, command(t, "serve", "--kubeconfig", kubeconfig, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
				"--leader-election", "--configmap-namespace", "default",
				"--shutdown-propagation-delay", "50ms", "--log-format", "json"))
			p.until(`"msg":"Serving"`)
			<-connected
			p.send(sig)
			p.ends(0)
			p.says("DD-007 Kubernetes-aware graceful shutdown complete")
			if strings.Contains(p.all(), "did not close") {
				t.Errorf("the API server holds the shutdown up:\n%s", p.all())
			}
		})
	}
	for _, sig := range stopSignals {
		t.Run("generate/"+sig.String(), func(t *testing.T) {
			t.Parallel()
			kubeconfig, connected := abyss(t)
			cmd := command(t, "generate", "--kubeconfig", kubeconfig)
			var out strings.Builder
			cmd.Stdout = &out
			p := tell(t, cmd)
			<-connected
			p.send(sig)
			p.ends(128 + int(sig))
			if out.Len() > 0 {
				t.Errorf("it printed %q", out.String())
			}
		})
	}
}

// Every signal that stops the service has it drain; a terminal that is closed, too.
func TestSignalsWhileItServes(t *testing.T) {
	for _, sig := range stopSignals {
		p := tell(t, serving(t))
		p.until("The cluster has been read")
		p.send(sig)
		p.ends(0)
		p.says("HTTP connections drained successfully")
		p.says("DD-007 Kubernetes-aware graceful shutdown complete")
	}
}

// Below nohup it goes on when the terminal is closed.
func TestNohup(t *testing.T) {
	cmd := serving(t)
	cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.Err = "/bin/sh", nil
	p := tell(t, cmd)
	p.until("The cluster has been read")
	p.send(syscall.SIGHUP, syscall.SIGTERM)
	p.until(`"signal":"terminated"`)
	p.ends(0)
	if strings.Contains(p.all(), "hangup") {
		t.Errorf("SIGHUP was not ignored:\n%s", p.all())
	}
}

// holdUp starts a service that can't end its writer: what it writes is a pipe that
// nobody reads. So the moment when resources are closed lasts until release.
func holdUp(t *testing.T) (p *told, release func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	shorten(t, w)
	cmd := serving(t, "--write-configmap", "-")
	cmd.Stdout = w
	p = tell(t, cmd)
	_ = w.Close() // the child has its own
	p.until("The cluster has been read")
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil { // it has begun to write
		t.Fatal(err)
	}
	return p, func() { _, _ = io.Copy(io.Discard, r) }
}

// shorten makes a pipe hold little.
func shorten(t *testing.T, pipe *os.File) {
	t.Helper()
	if _, err := unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
}

// A second SIGINT ends the process while it closes its resources, as at every other
// moment.
func TestSecondInterruptAtTheEnd(t *testing.T) {
	for _, first := range [][]syscall.Signal{{syscall.SIGINT}, {syscall.SIGTERM, syscall.SIGINT}} {
		p, _ := holdUp(t)
		for i, sig := range first {
			p.send(sig)
			p.until([]string{"Received shutdown signal", "Already shutting down"}[i])
		}
		p.until("Closing external resources")
		p.send(syscall.SIGINT)
		p.ends(130)
		p.says("Interrupted a second time")
	}
}

func TestSecondInterruptWhileItWaits(t *testing.T) {
	p := tell(t, serving(t, "--shutdown-propagation-delay", "25s"))
	p.until("The cluster has been read")
	p.send(syscall.SIGINT)
	p.until("Waiting for Kubernetes endpoint removal propagation")
	p.send(syscall.SIGINT)
	p.ends(130)
}

// Other signals never shorten the shutdown, its end neither.
func TestFurtherSignalsShortenNothing(t *testing.T) {
	p, release := holdUp(t)
	p.send(syscall.SIGTERM)
	p.until("Received shutdown signal")
	p.send(syscall.SIGTERM)
	p.until("Already shutting down")
	p.until("Closing external resources")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTERM} {
		p.send(sig)
		p.until("Already shutting down")
	}
	release()
	p.ends(0)
	p.says("DD-007 Kubernetes-aware graceful shutdown complete")
}

// Ctrl-C also ends the program that the log is piped to. What can't be logged then
// ends nothing: the service drains.
func TestSignalsWithoutALog(t *testing.T) {
	api := testenv.FreeAddress(t)
	cmd := serving(t, "--listen", api)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	_ = w.Close()
	eventually(t, "http://"+api+"/ready", func(status int, _ string) bool { return status == http.StatusOK })
	_ = r.Close()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// A second SIGINT ends the process even if the log is a pipe that nobody reads, and
// the shutdown waits for it.
func TestSecondInterruptWithABlockedLog(t *testing.T) {
	cmd := serving(t, "--log-level", "debug") // several lines for each Service
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only its beginning was read
	shorten(t, w)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	_ = w.Close()
	for s := bufio.NewScanner(r); s.Scan() && !strings.Contains(s.Text(), `"msg":"Serving"`); {
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	timeout := time.After(stuck)
	// Sent again and again: of two that come at once the system keeps one.
	for again := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGINT)
			continue
		case <-timeout:
			t.Fatal("it does not end")
		case <-ended:
		}
		break
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("it ended with %v, want exit code 130", cmd.ProcessState)
	}
}
