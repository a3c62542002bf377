package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// ofManifests returns the command of the service with a folder of manifests and further
// args.
func ofManifests(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	names := make([]string, 40)
	for i := range names {
		names[i] = fmt.Sprint("prometheus-", i)
	}
	return serviceCommand(t, slices.Concat([]string{"serve", "--manifests", manifests(t, names...), "--health-interval", "1h"}, args)...)
}

var stopSignals = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

// waitForReader returns once somebody reads from the pipe at path.
func (p *process) waitForReader(path string) {
	t := p.t
	t.Helper()
	for end := time.Now().Add(testenv.Patience); time.Now().Before(end) && !p.ended(); time.Sleep(time.Millisecond) {
		f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			t.Cleanup(func() { _ = f.Close() }) // the reader waits for more
			return
		}
		if !errors.Is(err, syscall.ENXIO) {
			t.Fatal(err)
		}
	}
	t.Fatal("nobody reads the file")
}

// A service that is told to stop while it starts, here while it reads a file that never
// ends, exits with 0. Another command has failed then, and exits with the code that
// shells expect.
func TestSignalsWhileItStarts(t *testing.T) {
	t.Parallel()
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
				p := start(t, commandOf(t, released, append(slices.Clone(c.args), pipe)...))
				p.waitForReader(pipe)
				p.send(sig)
				if c.args[0] == "generate" {
					p.ends(128 + int(sig))
					p.says(sig.String())
					return
				}
				p.ends(0)
				if !strings.Contains(p.log.text(), "told to stop before it has served anything") {
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
	t.Parallel()
	for _, sig := range stopSignals {
		cmd := ofManifests(t)
		cmd.Env = append(cmd.Env, "GODEBUG=inittrace=1") // a line for each package
		p := start(t, cmd)
		p.until("init kubernaut.io/dynamic-toolset/internal/signals ")
		p.send(sig)
		p.ends(0)
		for _, line := range strings.Split(p.log.text(), "\n") {
			if strings.HasPrefix(line, "init k8s.io/") {
				t.Errorf("initialised before the signals are caught: %s", line)
			}
			if strings.HasPrefix(line, "init kubernaut.io/dynamic-toolset/internal/signals ") {
				break
			}
		}
	}
}

// abyss starts a server that accepts connections and never answers. It returns a
// kubeconfig for it, and a channel that receives its connections.
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

// Before the first sync the service listens already, so a signal starts the whole
// sequence. An API server that never answers does not delay it.
func TestSignalsBeforeTheFirstSync(t *testing.T) {
	t.Parallel()
	for _, sig := range stopSignals {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel() // it mostly waits
			kubeconfig, connected := abyss(t)
			p := serve(t, "serve", "--kubeconfig", kubeconfig, "--leader-election", "--configmap-namespace", "default")
			<-connected
			p.send(sig)
			p.ends(0)
			p.says("DD-007 Kubernetes-aware graceful shutdown complete")
			if strings.Contains(p.log.text(), "did not close") {
				t.Error("the API server holds the shutdown up")
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
			p := start(t, cmd)
			<-connected
			p.send(sig)
			p.ends(128 + int(sig))
			if out.Len() > 0 {
				t.Errorf("it printed %q", out.String())
			}
		})
	}
}

// Every signal that stops the service starts a drain, even the one of a terminal that is
// closed.
func TestSignalsWhileItServes(t *testing.T) {
	t.Parallel()
	for _, sig := range stopSignals {
		p := start(t, ofManifests(t))
		p.until("The cluster has been read")
		p.send(sig)
		p.ends(0)
		p.says("HTTP connections drained successfully")
		p.says("DD-007 Kubernetes-aware graceful shutdown complete")
	}
}

// Below nohup the service goes on when the terminal is closed.
func TestNohup(t *testing.T) {
	t.Parallel()
	cmd := ofManifests(t)
	cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.Err = "/bin/sh", nil
	p := start(t, cmd)
	p.until("The cluster has been read")
	p.send(syscall.SIGHUP, syscall.SIGTERM)
	p.until(`"signal":"terminated"`)
	p.ends(0)
	if strings.Contains(p.log.text(), "hangup") {
		t.Error("SIGHUP was not ignored")
	}
}

// holdUp starts a service whose writer can't end, since it writes to a pipe that nobody
// reads. So the closing of resources lasts until release is called.
func holdUp(t *testing.T) (p *process, release func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	shorten(t, w)
	cmd := ofManifests(t, "--write-configmap", "-")
	cmd.Stdout = w
	p = start(t, cmd)
	_ = w.Close() // the child has its own
	p.until("The cluster has been read")
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil { // it has started to write
		t.Fatal(err)
	}
	return p, func() { _, _ = io.Copy(io.Discard, r) }
}

// shorten makes the buffer of a pipe small.
func shorten(t *testing.T, pipe *os.File) {
	t.Helper()
	if _, err := unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
}

// A second SIGINT ends the process while it closes its resources, as at any other time.
func TestSecondInterruptAtTheEnd(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	p := start(t, ofManifests(t, "--shutdown-propagation-delay", "25s"))
	p.until("The cluster has been read")
	p.send(syscall.SIGINT)
	p.until("Waiting for Kubernetes endpoint removal propagation")
	p.send(syscall.SIGINT)
	p.ends(130)
}

// Other signals never shorten the shutdown, not even its end.
func TestFurtherSignalsShortenNothing(t *testing.T) {
	t.Parallel()
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

// Ctrl-C also ends the program that reads the log through a pipe. That the log can't be
// written must not end the service before it has drained.
func TestSignalsWithoutALog(t *testing.T) {
	t.Parallel()
	api := testenv.FreeAddress(t)
	cmd := ofManifests(t, "--listen", api)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	p := start(t, cmd)
	p.api = "http://" + api
	_ = w.Close() // the child has its own
	p.answers("/ready", http.StatusOK)
	_ = r.Close()
	p.send(syscall.SIGINT)
	p.ends(0)
}

// A second SIGINT ends the process even if the shutdown waits for a log that nobody
// reads.
func TestSecondInterruptWithABlockedLog(t *testing.T) {
	t.Parallel()
	cmd := ofManifests(t, "--log-level", "debug") // several lines for each Service
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only its beginning was read
	shorten(t, w)
	cmd.Stderr = w
	p := start(t, cmd)
	_ = w.Close()
	for s := bufio.NewScanner(r); s.Scan() && !strings.Contains(s.Text(), `"msg":"Serving"`); {
	}
	timeout := time.After(testenv.Patience)
	// It is sent repeatedly, since the system merges two that come at once.
	for again := time.NewTicker(50 * time.Millisecond); !p.ended(); {
		select {
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGINT)
		case <-timeout:
			t.Fatal("it does not end")
		case <-p.log.done:
		}
	}
	p.ends(130)
}
