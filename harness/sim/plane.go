package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// startTimeout bounds the start of the processes, without the compile before it. It
// takes about 2 s on an idle host, 5 s with nodes, and much longer if other builds
// share 2 cores.
const startTimeout = 90 * time.Second

// plane is what a [ControlPlane] and a [Cluster] have in common: etcd, the API server,
// and credentials.
type plane struct {
	kind          string // for messages
	supervisor    *supervisor
	logDir        string // directory of the logs, as this process sees it
	logArg        string // the same directory, as the supervisor sees it
	apiServerArgs []string
	port          *heldPort
	authority     *authority
	admin         pair

	// Only for a cluster, whose API server does not listen on port itself.
	dialAPI func(context.Context) (net.Conn, error)
	relay   *apiRelay

	mu        sync.Mutex // serializes starting and stopping
	processes []*process // in the order of their first start
	etcd      *process
	apiServer *process // nil while stopped
	stopped   bool
}

// open starts the supervisor with these arguments, and creates the credentials. After
// an error the caller must call Stop if p.supervisor is set.
func (p *plane) open(ctx context.Context, o options, args ...string) error {
	var err error
	if p.supervisor, err = startSupervisor(ctx, o.binary, args...); err != nil {
		return err
	}
	if p.port, err = holdPort(); err != nil {
		return err
	}
	return p.writeCredentials()
}

// writeCredentials creates the certificates, and writes those that the API server reads
// and the administrator's kubeconfig to the state directory.
func (p *plane) writeCredentials() error {
	var err error
	if p.authority, err = newAuthority(); err != nil {
		return err
	}
	server, err := p.authority.apiServer(p.supervisor.greeting.Outside)
	if err != nil {
		return err
	}
	if p.admin, err = p.authority.client("admin", []string{"system:masters"}); err != nil {
		return err
	}
	tokenKey, err := newKey()
	if err != nil {
		return err
	}
	if err := p.writeFiles(map[string][]byte{
		caFile: p.authority.pem, serverCertFile: server.cert, serverKeyFile: server.key, tokenKeyFile: tokenKey,
	}); err != nil {
		return err
	}
	return p.writeKubeconfig(p.Kubeconfig(), p.url(), "admin", p.admin)
}

// writeFiles writes files into the state directory, which only the owner may read.
func (p *plane) writeFiles(files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(p.Dir(), name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startEtcd must be called before the API server is started, which would back off for a
// second if etcd were not there.
func (p *plane) startEtcd(ctx context.Context) error {
	var err error
	p.etcd, err = p.run(ctx, request{Role: etcdRole, Args: etcdFlags(), Socket: etcdSocket})
	return err
}

// run starts a component, with a log of its name.
func (p *plane) run(ctx context.Context, req request) (*process, error) {
	if req.Name == "" {
		req.Name = req.Role
	}
	req.Log = filepath.Join(p.logArg, req.Name+".log")
	started, err := p.supervisor.start(ctx, req, filepath.Join(p.logDir, req.Name+".log"))
	if err != nil {
		return nil, err
	}
	for i, old := range p.processes {
		if old.name == started.name {
			p.processes[i] = started
			return started, nil
		}
	}
	p.processes = append(p.processes, started)
	return started, nil
}

// StartAPIServer starts the API server again after StopAPIServer, on the same port and
// with the same data and credentials, and returns when it is ready. If it runs already,
// this only waits; if it has crashed, it is started again. ctx and 90 seconds bound the
// wait. After an error the API server is stopped.
func (p *plane) StartAPIServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return fmt.Errorf("the %s has been stopped: start a new one", p.kind)
	}
	if p.apiServer == nil || p.apiServer.hasEnded() {
		started, err := p.run(ctx, request{Role: apiServerRole, Args: p.apiServerArgs})
		if err != nil {
			return err
		}
		p.apiServer = started
	}
	err := p.waitReady(ctx, p.apiServer)
	if err == nil {
		err = p.relay.start()
	}
	if err != nil {
		failed := p.apiServer
		p.apiServer = nil
		p.relay.stop()
		return errors.Join(withLog(err, failed), p.supervisor.stop(failed))
	}
	return nil
}

// StopAPIServer kills the API server as a crash would: connections break at once, and
// new ones are refused until StartAPIServer. Everything else goes on running. It is not
// an error if the API server is stopped already.
func (p *plane) StopAPIServer() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.apiServer == nil || p.stopped {
		return nil
	}
	server := p.apiServer
	p.apiServer = nil
	err := p.supervisor.stop(server)
	p.relay.stop()
	return err
}

// Stop ends every process, and removes the state directory. A second call does nothing.
func (p *plane) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.stopped = true
	err := p.supervisor.end()
	p.relay.stop()
	if p.port != nil {
		err = errors.Join(err, p.port.release())
	}
	if err != nil {
		return fmt.Errorf("stop the simulated %s: %w", p.kind, err)
	}
	return nil
}

// Done returns a channel that is closed when all processes have ended: after Stop, or
// if the supervisor was killed.
func (p *plane) Done() <-chan struct{} { return p.supervisor.gone }

// Dir returns the state directory, which has the kubeconfig and, without [WithLogDir],
// the logs. It exists until Stop.
func (p *plane) Dir() string { return p.supervisor.greeting.Dir }

// LogTail returns the last log lines of the processes, for the output of a failed test.
func (p *plane) LogTail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := ""
	for _, process := range p.processes {
		text += "--- " + process.name + "\n" + tailOf(process.log) + "\n"
	}
	return text
}

// withLog adds the end of the process's log to an error.
func withLog(err error, p *process) error {
	return fmt.Errorf("%w\nthe end of the log of %s:\n%s", err, p.name, tailOf(p.log))
}
