// Package backends is ten thousand back ends to check the health of: real HTTP
// servers on many loopback addresses, in a process of their own, that record
// when they are asked.
package backends

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Command is the first argument by which a program that uses this package is
// told to be the back ends: its main calls Serve then.
const Command = "serve-endpoints"

const (
	// addresses is over how many loopback addresses the endpoints are spread.
	// One would not do: connections that were closed keep their ports for a
	// minute, of which there are 28,000 for each address.
	addresses = 50
	// portTries is how often another port is tried when the one that was free
	// on the first address isn't on all.
	portTries = 10
)

// CIDR holds all addresses of the back ends.
const CIDR = "127.77.0.0/24"

// Serve is the process of the back ends: it listens on the port, 0 for any, writes the
// port and the address at which it tells its statistics to out, and serves
// until in ends. Slow endpoints answer after delay.
func Serve(in io.Reader, out io.Writer, delay time.Duration, port int) error {
	r := newRecorder()
	ended, end := context.WithCancel(context.Background())
	defer end()
	quiet := log.New(io.Discard, "", 0)
	endpoints := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.serve(ended, w, req, delay) }), ErrorLog: quiet,
		ConnState: r.connection, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute,
	}
	control := &http.Server{Handler: r.control(), ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, addresses+1)
	defer endpoints.Close() //nolint:errcheck // the process ends
	defer control.Close()   //nolint:errcheck // the process ends
	listeners, port, err := listen(port)
	if err != nil {
		return fmt.Errorf("the endpoints to check need one port on the addresses %s: %w", CIDR, err)
	}
	for _, l := range listeners {
		go func() { failed <- endpoints.Serve(l) }()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { failed <- control.Serve(l) }()
	if _, err := fmt.Fprintln(out, port, l.Addr()); err != nil {
		return err
	}
	go func() {
		_, err := io.Copy(io.Discard, in)
		failed <- err
	}()
	return <-failed
}

// listen takes one port, 0 for any, on all addresses.
func listen(port int) (all []net.Listener, taken int, err error) {
	for range portTries {
		all, taken = nil, port
		for i := range addresses {
			var l net.Listener
			if l, err = net.Listen("tcp", fmt.Sprintf("127.77.0.%d:%d", 1+i, taken)); err != nil {
				break
			}
			taken = l.Addr().(*net.TCPAddr).Port
			all = append(all, l)
		}
		if err == nil {
			return all, taken, nil
		}
		for _, l := range all {
			_ = l.Close() // another port is tried
		}
		if port != 0 {
			break
		}
	}
	return nil, 0, err
}

func (r *recorder) serve(ended context.Context, w http.ResponseWriter, req *http.Request, delay time.Duration) {
	name, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	c := Class(name)
	switch c {
	case OK, Slow, Hang:
	default:
		http.NotFound(w, req)
		return
	}
	r.request(c, req.URL.Path)
	defer r.answered()
	switch c {
	case Slow:
		select {
		case <-time.After(delay):
		case <-req.Context().Done():
		case <-ended.Done():
		}
	case Hang:
		select {
		case <-req.Context().Done():
		case <-ended.Done():
		}
	}
	_, _ = io.WriteString(w, "fine\n") // to a client that may have gone
}

// control answers GET /stats, and POST /reset.
func (r *recorder) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(r.snapshot()) // the client sees that it is cut short
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { r.reset() })
	return mux
}

// A Process is the process of the back ends, seen from outside. End it with Close.
type Process struct {
	cmd     *exec.Cmd
	in      io.Closer
	port    string
	control string
	client  *http.Client
}

// URL returns the address of endpoint n of a class.
func (p *Process) URL(c Class, n int) string {
	return fmt.Sprintf("http://127.77.0.%d:%s/%s/%d", 1+n%addresses, p.port, c, n)
}

// Start runs this program once more, as the back ends, with its endpoints on a port,
// 0 for any that is free.
func Start(delay time.Duration, port int) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, Command, delay.String(), strconv.Itoa(port)) // #nosec G204 -- this program
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the endpoints to check did not start: %w: %s", errors.Join(err, cmd.Wait()), stderr.String())
	}
	taken, control, _ := strings.Cut(strings.TrimSpace(line), " ")
	return &Process{
		cmd: cmd, in: in, port: taken, control: "http://" + control,
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}},
	}, nil
}

// Main is what a program's main does with the arguments after Command.
func Main(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s is for this program's own use", Command)
	}
	delay, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return Serve(os.Stdin, os.Stdout, delay, port)
}

// Reset forgets what was recorded.
func (p *Process) Reset() error {
	res, err := p.client.Post(p.control+"/reset", "", nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Stats returns what was recorded since the last Reset.
func (p *Process) Stats() (Stats, error) {
	var s Stats
	res, err := p.client.Get(p.control + "/stats")
	if err != nil {
		return s, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	err = json.NewDecoder(res.Body).Decode(&s)
	return s, err
}

// Close ends the process.
func (p *Process) Close() error {
	p.client.CloseIdleConnections()
	return errors.Join(p.in.Close(), p.cmd.Wait())
}
