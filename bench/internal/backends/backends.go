// Package backends provides back ends whose health is checked: real HTTP servers on many
// loopback addresses, in a process of their own, which record when they receive requests.
//
// [Start] runs the program that calls it once more, with [Command] as its first argument.
// The program's main function must call [Main] in that case.
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

// Command is the first argument of a program that is to be the back ends. Its main function
// must then call Main with the arguments that follow.
const Command = "serve-endpoints"

const (
	// addresses is the number of loopback addresses of the endpoints. One is not enough: a
	// closed connection keeps its port for a minute, and there are 28,000 ports for each
	// address.
	addresses = 50
	// portTries is how many ports are tried until one is free on all addresses.
	portTries = 10
)

// CIDR contains the addresses of all back ends.
const CIDR = "127.77.0.0/24"

// Serve runs the back ends until in ends. It listens on port, 0 for any that is free, and
// then writes that port and the address of its statistics to out. Slow endpoints answer
// after delay.
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

// listen listens on one port, 0 for any, of all addresses.
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
	_, _ = io.WriteString(w, "fine\n") // the client may have gone
}

// control serves GET /stats and POST /reset.
func (r *recorder) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(r.snapshot()) // after an error the client gets incomplete JSON
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { r.reset() })
	return mux
}

// A Process is a running process with the back ends. End it with Close.
type Process struct {
	cmd     *exec.Cmd
	in      io.Closer
	port    string
	control string
	client  *http.Client
}

// URL returns the URL of endpoint n of a class.
func (p *Process) URL(c Class, n int) string {
	return fmt.Sprintf("http://127.77.0.%d:%s/%s/%d", 1+n%addresses, p.port, c, n)
}

// Start runs this program once more, as the back ends; see Serve for delay and port.
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

// Main serves the back ends. args are the program's arguments after Command.
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

// Reset deletes what was recorded.
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
