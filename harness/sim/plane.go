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

// startTimeout bounds the start of the processes (not the compile before it):
// about 2 s on an idle machine, 5 s with nodes, far more where other builds share
// 2 cores.
const startTimeout = 90 * time.Second

// plane is what a [ControlPlane] and a [Cluster] have in common: etcd, the API
// server, and the credentials to use it.
type plane struct {
	kind          string // for messages
	supervisor    *supervisor
	logDir        string // where the logs are, seen from here
	logArg        string // the same directory, seen by the supervisor
	apiServerArgs []string
	port          *heldPort
	authority     *authority
	admin         pair

	// Of a cluster, whose API server does not listen on port itself.
	dialAPI func(context.Context) (net.Conn, error)
	relay   *apiRelay

	mu        sync.Mutex // serializes starting and stopping
	processes []*process // in the order of their first start
	etcd      *process
	apiServer *process // nil while stopped
	stopped   bool
}

// open starts the supervisor in this role of the binary and makes the credentials.
// After an error the caller calls Stop where p.supervisor is set.
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

// writeCredentials makes the certificates and puts what the API server reads,
// and the administrator's kubeconfig, into the state directory.
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

// writeFiles writes files into the state directory, readable by the owner only.
func (p *plane) writeFiles(files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(p.Dir(), name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startEtcd comes before the API server: an attempt at an etcd that is not there
// yet costs that a second of back-off.
func (p *plane) startEtcd(ctx context.Context) error {
	var err error
	p.etcd, err = p.run(ctx, request{Role: etcdRole, Args: etcdFlags(), Socket: etcdSocket})
	return err
}

// run starts a component with a log named after it.
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

// StartAPIServer starts the API server again after StopAPIServer, on the same
// port, with the same data and credentials, and returns when it is ready. Where it
// runs already it only waits for that; one that has crashed by itself is started
// again. ctx bounds the wait, and so do 90 seconds; after an error the API server
// is stopped.
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

// StopAPIServer kills the API server as a crash would: connections break at
// once, and new ones are refused until StartAPIServer. Everything else keeps
// running. An API server that is stopped already is no error.
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

// Stop ends every process and removes the state directory; when it returns they
// are gone. A second call does nothing.
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

// Done is closed when everything has ended: after Stop, or when somebody killed
// the supervisor.
func (p *plane) Done() <-chan struct{} { return p.supervisor.gone }

// Dir is the state directory, which holds the kubeconfig and, unless
// [WithLogDir] was used, the logs. It exists until Stop.
func (p *plane) Dir() string { return p.supervisor.greeting.Dir }

// LogTail returns the last lines that the processes have logged, for the report
// of a test that failed.
func (p *plane) LogTail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := ""
	for _, process := range p.processes {
		text += "--- " + process.name + "\n" + tailOf(process.log) + "\n"
	}
	return text
}

// withLog adds what a process said last.
func withLog(err error, p *process) error {
	return fmt.Errorf("%w\nthe end of the log of %s:\n%s", err, p.name, tailOf(p.log))
}
