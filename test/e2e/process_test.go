package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A process is the running binary. A copy stands for the same process, with another test
// or token.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	log *journal

	// The URLs of the two ports, known after serving.
	api, metrics string
	client       *http.Client
	token        string // sent with requests; none if empty
}

// serve starts the service, and returns once it listens. args take precedence over the
// usual ones.
func serve(t *testing.T, args ...string) *process {
	t.Helper()
	p := start(t, serviceCommand(t, args...))
	p.serving()
	return p
}

// serviceCommand returns the command of the service with its usual settings and args,
// which may begin with "serve".
func serviceCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return command(t, serviceArgs(args)...)
}

// serviceArgs adds the usual settings to args.
func serviceArgs(args []string) []string {
	usual := []string{"--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json", "--shutdown-propagation-delay", "100ms"}
	at := 0
	if len(args) > 0 && args[0] == "serve" {
		at = 1
	}
	return slices.Insert(slices.Clone(args), at, usual...)
}

// start starts cmd and reads its standard error, unless that goes elsewhere. The process
// ends with the test at the latest.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	// A child inherits ignored signals, as below nohup, but not caught ones.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var stderr io.Reader = strings.NewReader("")
	if cmd.Stderr == nil {
		var err error
		if stderr, err = cmd.StderrPipe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, log: &journal{more: make(chan struct{}), done: make(chan struct{})}}
	// No connection is kept, since the service would wait for it when it stops.
	p.client = &http.Client{Timeout: testenv.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		p.log.follow(stderr)
		_ = cmd.Wait() // ProcessState has the result
		close(p.log.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended if the test passed
		<-p.log.done
		if t.Failed() {
			text := p.log.text()
			t.Logf("the end of the log of %q:\n%s", cmd.Args[1:], text[max(0, len(text)-20_000):])
		}
	})
	return p
}

// with returns a copy that reports failures to t.
func (p *process) with(t *testing.T) *process {
	c := *p
	c.t = t
	return &c
}

// as returns a copy whose requests have this token.
func (p *process) as(token string) *process {
	c := *p
	c.token = token
	return &c
}

// serving waits until the service has logged where it listens.
func (p *process) serving() {
	p.t.Helper()
	var line struct {
		API, Metrics string
		TLS          bool
	}
	if err := json.Unmarshal([]byte(p.until(`"msg":"Serving"`)), &line); err != nil {
		p.t.Fatal(err)
	}
	scheme := "http://"
	if line.TLS {
		scheme = "https://"
	}
	p.api, p.metrics = scheme+line.API, scheme+line.Metrics
}

// until waits for a line of the log that contains text, behind the line that it has found
// last, and returns it.
func (p *process) until(text string) string {
	p.t.Helper()
	timeout := time.After(testenv.Patience)
	for {
		line, found, more := p.log.next(text)
		if found {
			return line
		}
		select {
		case <-more:
		case <-p.log.done:
			if line, found, _ := p.log.next(text); found {
				return line
			}
			p.t.Fatalf("it ended (%v) and never said %q", p.cmd.ProcessState, text)
		case <-timeout:
			p.t.Fatalf("it never said %q", text)
		}
	}
}

// says checks that the log contains text.
func (p *process) says(text string) {
	p.t.Helper()
	if !strings.Contains(p.log.text(), text) {
		p.t.Errorf("it never said %q", text)
	}
}

// logged returns those lines of the log, each a JSON object, that contain all words, in
// the form "LEVEL MSG: ERROR".
func (p *process) logged(words ...string) (found []string) {
	p.t.Helper()
	texts, err := p.log.entries()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, text := range texts {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			found = append(found, text)
		}
	}
	return found
}

func (p *process) send(signals ...syscall.Signal) {
	p.t.Helper()
	for _, sig := range signals {
		if err := p.cmd.Process.Signal(sig); err != nil {
			p.t.Fatalf("%v: %v", sig, err)
		}
	}
}

// ends waits until the process ends, which must be by an exit with this code.
func (p *process) ends(code int) {
	p.t.Helper()
	select {
	case <-p.log.done:
	case <-time.After(testenv.Patience):
		p.t.Fatal("it does not end")
	}
	if state := p.cmd.ProcessState; state.ExitCode() != code { // -1 if by a signal
		p.t.Errorf("it ended with %v, want exit code %d", state, code)
	}
}

// stop tells the service to stop, and checks that it does so without trouble.
func (p *process) stop() {
	p.t.Helper()
	p.send(syscall.SIGTERM)
	p.ends(0)
}

func (p *process) ended() bool {
	select {
	case <-p.log.done:
		return true
	default:
		return false
	}
}

// do sends a request without a body on a new connection, to the port that has the path.
func (p *process) do(method, path string) (resp *http.Response, body string, err error) {
	p.t.Helper()
	url := p.api + path
	if strings.HasPrefix(path, "/metrics") || strings.HasPrefix(path, "/debug/") {
		url = p.metrics + path
	}
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	if resp, err = p.client.Do(req); err != nil {
		return nil, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// ask returns the status and body of an answer; 0 and the error if there is none.
func (p *process) ask(method, path string) (status int, body string) {
	p.t.Helper()
	resp, body, err := p.do(method, path)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, body
}

// eventually repeats a request until good accepts the answer, and returns its body.
func (p *process) eventually(path string, good func(status int, body string) bool) string {
	p.t.Helper()
	var status int
	var body string
	w := testenv.Start()
	for status, body = p.ask(http.MethodGet, path); !good(status, body); status, body = p.ask(http.MethodGet, path) {
		if w.Elapsed() > testenv.Patience || p.ended() {
			p.t.Fatalf("%s never answers as expected; last: %d %.2000s", path, status, body)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return body
}

// answers repeats a request until the answer has this status and all texts, and returns
// its body.
func (p *process) answers(path string, status int, texts ...string) string {
	p.t.Helper()
	return p.eventually(path, func(got int, body string) bool {
		return got == status && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(body, text) })
	})
}

// problem sends a request, checks that the answer is a problem document with this status,
// and returns its detail.
func (p *process) problem(method, path string, status int) string {
	p.t.Helper()
	code, body := p.ask(method, path)
	var doc struct {
		Type, Detail string
		Status       int
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || code != status || doc.Status != status || doc.Type == "" {
		p.t.Errorf("%s %s answers %d %s, want a problem document of %d", method, path, code, body, status)
	}
	return doc.Detail
}

// within waits until good returns true; see testenv.Eventually.
func (p *process) within(limit time.Duration, what string, good func() bool) {
	p.t.Helper()
	testenv.Eventually(p.t, limit, what, good)
}

func (p *process) ready() bool {
	status, _ := p.ask(http.MethodGet, "/health/ready")
	return status == http.StatusOK
}

// metric returns the value of a series; 0 if there is none.
func (p *process) metric(series string) int {
	p.t.Helper()
	_, body := p.ask(http.MethodGet, "/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\d+)$`).FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// A journal is what a process writes to standard error.
type journal struct {
	done chan struct{} // closed when the process has ended

	mu    sync.Mutex
	lines []string
	texts []string      // of the lines that entries has read
	read  int           // how many lines next has read
	more  chan struct{} // closed when there is another line
}

func (j *journal) follow(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		j.mu.Lock()
		j.lines = append(j.lines, s.Text())
		close(j.more)
		j.more = make(chan struct{})
		j.mu.Unlock()
	}
}

// next returns the next line that contains text, or a channel that is closed when there
// is another line.
func (j *journal) next(text string) (line string, found bool, more <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.read < len(j.lines) {
		line := j.lines[j.read]
		if j.read++; strings.Contains(line, text) {
			return line, true, nil
		}
	}
	return "", false, j.more
}

// all returns every line so far.
func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) text() string { return strings.Join(j.all(), "\n") }

// entries returns all lines as text; each must be JSON.
func (j *journal) entries() ([]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines[len(j.texts):] {
		var l struct{ Level, Msg, Error string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return nil, fmt.Errorf("a line of the log is no JSON: %s", line)
		}
		j.texts = append(j.texts, l.Level+" "+l.Msg+": "+l.Error)
	}
	return j.texts[:len(j.texts):len(j.texts)], nil
}
