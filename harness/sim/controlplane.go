package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// startTimeout bounds the start of the processes (not the compile before it):
// about 2 s on an idle machine, far more where other builds share 2 cores.
const startTimeout = 90 * time.Second

// ControlPlane is one running etcd with its API server. Its methods may be called
// from several goroutines. Make one with [StartControlPlane], end it with
// [ControlPlane.Stop].
type ControlPlane struct {
	logDir         string
	apiServerFlags []string
	supervisor     *supervisor
	port           *heldPort
	authority      *authority
	admin          pair

	mu        sync.Mutex // serializes starting and stopping
	etcd      *process
	apiServer *process // nil while stopped
	stopped   bool
}

// StartControlPlane starts etcd and the API server and returns when the API is
// ready: /readyz says so and the namespace "default" exists. It calls [Build]
// first, which may compile for minutes, once.
//
// ctx bounds the start only. The error wraps [ErrUnavailable] where the binary
// cannot be built here; where a process did not come up, it holds the end of its
// log. After an error nothing is left running.
func StartControlPlane(ctx context.Context, opts ...Option) (*ControlPlane, error) {
	o := newOptions(opts)
	if o.binary == "" {
		var err error
		if o.binary, err = Build(ctx, o.progress); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s, err := startSupervisor(ctx, o.binary)
	if err != nil {
		return nil, fmt.Errorf("start the simulated control plane: %w", err)
	}
	cp := &ControlPlane{supervisor: s, logDir: s.dir, apiServerFlags: o.apiServerFlags}
	if o.logDir != "" {
		if cp.logDir, err = filepath.Abs(o.logDir); err != nil {
			return nil, errors.Join(err, cp.Stop())
		}
	}
	if err := cp.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the simulated control plane: %w", err), cp.Stop())
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context) error {
	var err error
	if cp.port, err = holdPort(); err != nil {
		return err
	}
	if err := cp.writeCredentials(); err != nil {
		return err
	}
	// The API server comes second: an attempt at an etcd that is not there yet
	// costs it a second of back-off.
	if cp.etcd, err = cp.supervisor.start(ctx, request{
		Role: etcdRole, Args: etcdFlags(), Log: cp.logFile(etcdRole), Socket: etcdSocket,
	}); err != nil {
		return err
	}
	return cp.StartAPIServer(ctx)
}

// writeCredentials makes the certificates and puts what the API server reads,
// and the administrator's kubeconfig, into the state directory.
func (cp *ControlPlane) writeCredentials() error {
	var err error
	if cp.authority, err = newAuthority(); err != nil {
		return err
	}
	server, err := cp.authority.server()
	if err != nil {
		return err
	}
	if cp.admin, err = cp.authority.client("admin", []string{"system:masters"}); err != nil {
		return err
	}
	tokenKey, err := newKey()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		caFile: cp.authority.pem, serverCertFile: server.cert, serverKeyFile: server.key, tokenKeyFile: tokenKey,
	} {
		if err := os.WriteFile(filepath.Join(cp.supervisor.dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return cp.writeKubeconfig(cp.Kubeconfig(), "admin", cp.admin)
}

// StartAPIServer starts the API server again after [ControlPlane.StopAPIServer],
// on the same port, with the same data and credentials, and returns when it is
// ready. Where it runs already it only waits for that; one that has crashed by
// itself is started again. ctx bounds the wait, and
// so do 90 seconds; after an error the API server is stopped.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.stopped {
		return errors.New("the control plane has been stopped: start a new one")
	}
	if cp.apiServer == nil || cp.apiServer.hasEnded() {
		p, err := cp.supervisor.start(ctx, request{
			Role: apiServerRole, Args: apiServerFlags(cp.port.number, cp.apiServerFlags), Log: cp.logFile(apiServerRole),
		})
		if err != nil {
			return err
		}
		cp.apiServer = p
	}
	if err := cp.waitReady(ctx, cp.apiServer); err != nil {
		p := cp.apiServer
		cp.apiServer = nil
		err = fmt.Errorf("%w\nthe end of the log of %s:\n%s", err, p.role, tailOf(p.log))
		return errors.Join(err, cp.supervisor.stop(p))
	}
	return nil
}

// StopAPIServer kills the API server as a crash would: connections break at
// once, and new ones are refused until [ControlPlane.StartAPIServer]. etcd keeps
// running. An API server that is stopped already is no error.
func (cp *ControlPlane) StopAPIServer() error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.apiServer == nil || cp.stopped {
		return nil
	}
	p := cp.apiServer
	cp.apiServer = nil
	return cp.supervisor.stop(p)
}

// Stop ends every process and removes the state directory; when it returns they
// are gone. A second call does nothing.
func (cp *ControlPlane) Stop() error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.stopped {
		return nil
	}
	cp.stopped = true
	err := cp.supervisor.end()
	if cp.port != nil {
		err = errors.Join(err, cp.port.release())
	}
	if err != nil {
		return fmt.Errorf("stop the simulated control plane: %w", err)
	}
	return nil
}

// Done is closed when everything has ended: after [ControlPlane.Stop], or when
// somebody killed the supervisor.
func (cp *ControlPlane) Done() <-chan struct{} { return cp.supervisor.gone }

// Dir is the state directory, which holds the kubeconfig and, unless
// [WithLogDir] was used, the logs. It exists until [ControlPlane.Stop].
func (cp *ControlPlane) Dir() string { return cp.supervisor.dir }

// LogTail returns the last lines that the processes have logged, for the report
// of a test that failed.
func (cp *ControlPlane) LogTail() string {
	text := ""
	for _, role := range []string{etcdRole, apiServerRole} {
		text += "--- " + role + "\n" + tailOf(cp.logFile(role)) + "\n"
	}
	return text
}

func (cp *ControlPlane) logFile(role string) string {
	return filepath.Join(cp.logDir, role+".log")
}
