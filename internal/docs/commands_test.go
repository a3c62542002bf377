package docs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yuin/goldmark/ast"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A block is one fenced block of shell commands, which readers are told to type.
type block struct {
	file     string
	commands []string
}

// blocks returns the blocks of a document.
func (d *document) blocks() []block {
	var all []block
	d.walk(func(n ast.Node) {
		if code, ok := n.(*ast.FencedCodeBlock); ok && string(code.Language(d.source)) == "sh" {
			all = append(all, block{d.file, commands(string(code.Lines().Value(d.source)))})
		}
	})
	return all
}

var (
	comment = regexp.MustCompile(`(^|\s+)#\s.*$`)
	heredoc = regexp.MustCompile(`<<'(\w+)'`)
	// A command that runs in the background, or after the one before, counts as a command
	// of its own.
	joint = regexp.MustCompile(` && | &$`)
)

// commands splits a script into its commands, without comments.
func commands(script string) []string {
	var all []string
	lines := strings.Split(strings.ReplaceAll(script, "\\\n", " "), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(comment.ReplaceAllString(lines[i], ""))
		if m := heredoc.FindStringSubmatch(line); m != nil {
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != m[1]; i++ { // the text of a here document has no commands
			}
		}
		for _, c := range joint.Split(line, -1) {
			if c = strings.TrimSpace(c); c != "" {
				all = append(all, c)
			}
		}
	}
	return all
}

func TestCommandsAreSplit(t *testing.T) {
	got := commands("a b \\\n  c   # why\nmake x && d 'e#f' &\nkubectl <<'END'\nno: command\nEND\n\n# nothing\n")
	if want := []string{"a b    c", "make x", "d 'e#f'", "kubectl <<'END'"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A way is how a command is tried; nil means that it is not.
type way struct {
	pattern *regexp.Regexp
	try     func(*reader, string)
}

// The first way whose pattern matches is used.
var ways = []way{
	// Commands that need a cluster, an image registry, a browser, or something of the
	// reader's own. Other tests do the same: those in deploy/render, harness and
	// test/e2e.
	{regexp.MustCompile(`kubectl|^helm |^docker |^(git tag|skopeo|oras|cosign|tar|diff) |^go tool (kind|trace) |--kubeconfig|--cluster kubeconfig|^bin/verify (deployment/|--cluster )|/tmp/services|\bown\.yaml|` +
		`-http=:|\.tsv\b|--manifest app\.yaml|\bFILE\b|cpu\.pb\.gz|overrides\.yaml|^(bin/)?simcluster`), nil},
	{regexp.MustCompile(`^([A-Z]+=\S+ )*make `), (*reader).make},
	{regexp.MustCompile(`^([A-Z]+=\S+ )*scripts/`), (*reader).script},
	{regexp.MustCompile(`^cd `), func(r *reader, c string) { r.dir = filepath.Join(r.dir, strings.TrimPrefix(c, "cd ")) }},
	{regexp.MustCompile(`^mkdir |^openssl `), (*reader).run},
	{regexp.MustCompile(`^(bin/\w+|go run \S+) (.* )?--help$|^(bin/)?dynamic-toolset (generate|explain|mcp) `), (*reader).run},
	{regexp.MustCompile(`^(bin/)?dynamic-toolset `), (*reader).serve},
	{regexp.MustCompile(`^curl `), (*reader).ask},
	{regexp.MustCompile(`^go tool pprof `), (*reader).ask},
	{regexp.MustCompile(`^go (run|build|test|generate)\b`), (*reader).sources},
}

// A reader types the commands of one block.
type reader struct {
	*testing.T            // for the current command
	block      *testing.T // for all commands
	service    *service   // the service that answers; a new one if the block starts one
	dir        string     // where the commands run, relative to the root
	tmp        string
}

// Every command of the documentation works. Those that need no cluster and end soon are
// run; for the others the test checks that what they name exists.
func TestCommands(t *testing.T) {
	build := t.TempDir()
	for name, pkg := range map[string]string{"dynamic-toolset": ".", "verify": "./harness/cmd/verify"} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(build, name), pkg)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	shared := start(t, filepath.Join(build, "dynamic-toolset"), "--manifests", "examples/cluster", "--pprof")
	tried, left := 0, 0
	for _, d := range documents(t) {
		for _, b := range d.blocks() {
			r := &reader{block: t, service: shared, tmp: t.TempDir()}
			for _, c := range b.commands {
				at := slices.IndexFunc(ways, func(w way) bool { return w.pattern.MatchString(c) })
				if at < 0 {
					t.Errorf("%s: nobody knows how to try %q: say in ways", d.file, c)
					continue
				}
				if ways[at].try == nil {
					left++
					continue
				}
				tried++
				t.Run(d.file+": "+c, func(t *testing.T) {
					r.T = t
					c = strings.NewReplacer("/tmp/", r.tmp+"/", " DIR", " examples/cluster").Replace(c)
					c = regexp.MustCompile(`(^|\s)bin/`).ReplaceAllString(c, "${1}"+build+"/")
					c = regexp.MustCompile(`^dynamic-toolset `).ReplaceAllString(c, build+"/dynamic-toolset ")
					ways[at].try(r, c)
				})
			}
			if r.service != shared {
				r.service.stop(t)
			}
		}
	}
	t.Logf("%d commands tried, %d need a cluster", tried, left)
	shared.stop(t)
}

// patience bounds a command that ends by itself.
const patience = 2 * testenv.Patience

// shell runs a command in a shell that fails also if another command of a pipeline than
// the last one fails. It is no failure if grep finds nothing.
func (r *reader) shell(command string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -o pipefail\ngrep() { command grep \"$@\" || [ $? = 1 ]; }\n"+command)
	cmd.Dir, cmd.Env = filepath.Join(root, r.dir), environment()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func (r *reader) run(command string) { r.Helper(); r.shell(command) }

// make runs make -n: the target exists, and has commands.
func (r *reader) make(command string) {
	command = strings.Replace(command, "make ", "make -n ", 1)
	if out := r.shell(command); strings.Contains(out, "Nothing to be done") {
		r.Errorf("it does nothing: %s", out)
	}
}

func (r *reader) script(command string) {
	for word := range strings.FieldsSeq(command) {
		if strings.HasPrefix(word, "scripts/") {
			if _, err := os.Stat(filepath.Join(root, word)); err != nil {
				r.Error(err)
			}
		}
	}
}

var testName = regexp.MustCompile(`-(run|bench)[ =]'?\^?(\w+)`)

// sources checks the packages and tests that a go command names.
func (r *reader) sources(command string) {
	var packages []string
	for word := range strings.FieldsSeq(command) {
		if word == "." || strings.HasPrefix(word, "./") {
			packages = append(packages, word)
		}
	}
	if len(packages) == 0 {
		if !strings.HasPrefix(command, "go generate") {
			r.Fatal("it names no package")
		}
		packages = []string{"."}
	}
	dirs := strings.Fields(r.shell("go list -f '{{.Dir}}' " + strings.Join(packages, " ")))
	for _, m := range testName.FindAllStringSubmatch(command, -1) {
		kind := map[string]string{"run": "Test", "bench": "Benchmark"}[m[1]]
		if !strings.HasPrefix(m[2], kind) {
			continue // all of them, or none
		}
		for _, dir := range dirs {
			if out, err := exec.CommandContext(r.Context(), "grep", "-rqE", "^func "+m[2], dir, "--include=*_test.go").CombinedOutput(); err != nil {
				r.Errorf("no %s in %s: %v %s", m[2], dir, err, out)
			}
		}
	}
}

// serve starts the service for the commands that follow "in another terminal". It ends
// with the block.
func (r *reader) serve(command string) {
	args := strings.Fields(command)
	r.service = start(r.block, args[0], args[1:]...)
}

var (
	// README shows an error on purpose.
	anError = regexp.MustCompile(`/nothing\b`)
	endless = regexp.MustCompile(`/watch\b`)
	seconds = regexp.MustCompile(`seconds=\d+`)
)

// ask runs a command that sends a request to the service: curl, or a profiling tool. It
// replaces what a reader has to fill in, which are addresses and the name of a toolset.
func (r *reader) ask(command string) {
	command = strings.NewReplacer("localhost:8080", r.service.api, "localhost:9090", r.service.metrics, "localhost:8081", r.service.metrics, "monitoring/my-prometheus", "monitoring/kps-grafana", "my-prometheus", "grafana").Replace(command)
	command = seconds.ReplaceAllString(command, "seconds=1")
	curl := "curl --fail-with-body --max-time 60"
	switch {
	case anError.MatchString(command):
		curl = "curl"
	case endless.MatchString(command):
		curl = "timeout --preserve-status 1 curl --fail-with-body"
		command += " || [ $? = 143 ]"
	}
	command = strings.Replace(command, "curl ", curl+" ", 1)
	r.shell("cd '" + r.tmp + "'\n" + command)
}

// environment returns the environment of a reader, without the variables of tests: the
// service refuses variables that look like settings.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TOOLSET_") })
}

// A service is a running process of the service.
type service struct {
	cmd          *exec.Cmd
	api, metrics string
	ended        chan error
}

// start starts one, and waits until it is ready.
func start(t *testing.T, binary string, args ...string) *service {
	t.Helper()
	cmd := exec.Command(binary, append(args, "--listen=localhost:0", "--metrics-listen=localhost:0", "--log-format=json", "--log-level=info",
		"--shutdown-propagation-delay=0s")...)
	cmd.Dir, cmd.Env = root, environment()
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &service{cmd: cmd, ended: make(chan error, 1)}
	serving, read := make(chan bool, 1), bytes.Buffer{}
	go func() {
		lines := bufio.NewScanner(io.TeeReader(log, &read))
		for lines.Scan() {
			var line struct{ Msg, API, Metrics string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			switch line.Msg {
			case "Serving":
				s.api, s.metrics = address(line.API), address(line.Metrics)
			case "The cluster has been read":
				serving <- true
			}
		}
		close(serving)
		s.ended <- cmd.Wait()
	}()
	t.Cleanup(func() { cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	select {
	case ok := <-serving:
		if !ok {
			t.Fatalf("the service did not start: %v\n%s", <-s.ended, read.String())
		}
	case <-time.After(testenv.Patience):
		t.Fatal("the service is not ready")
	}
	return s
}

// address returns an address for which a certificate for localhost is valid.
func address(listens string) string {
	return "localhost" + listens[strings.LastIndexByte(listens, ':'):]
}

func (s *service) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("the service ended with %v", err)
		}
	case <-time.After(testenv.Patience):
		t.Error("the service does not end")
	}
}
