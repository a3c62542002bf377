package server

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

//go:embed limit/limit.c
var limitSource []byte

// startLimit builds the limit with the C compiler of this machine, and starts it.
func startLimit(ctx context.Context, dir string, o Options) (started, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return nil, fmt.Errorf("a C compiler, cc, is %w: apt-get install gcc libc6-dev", ErrMissing)
	}
	if err := o.Answers.complete(); err != nil {
		return nil, err
	}
	source, program := filepath.Join(dir, "limit.c"), filepath.Join(dir, "limit")
	if err := os.WriteFile(source, limitSource, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("it was not built within %v", startTimeout))
	defer cancel()
	if out, err := exec.CommandContext(ctx, compiler, "-O2", "-o", program, source).CombinedOutput(); err != nil { // #nosec G204 -- found above
		return nil, fmt.Errorf("build it with %s (apt-get install gcc libc6-dev): %w: %s", compiler, err, out)
	}
	version, err := exec.CommandContext(ctx, compiler, "--version").Output() // #nosec G204 -- as above
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", compiler, err)
	}
	release, _, _ := strings.Cut(string(version), "\n")
	args := []string{dir}
	for i, w := range []string{ByName, List4K, List400K} {
		a := o.Answers[w]
		args = append(args, a.Path)
		same := o.Answers[NotModified]
		if w != ByName {
			same = a // nobody asks
		}
		files := map[string][]byte{"tag": []byte(a.field("ETag")), "body": a.Body}
		files["first"], files["rest"] = a.parts()
		files["same-first"], files["same-rest"] = same.parts()
		for _, suffix := range slices.Sorted(maps.Keys(files)) {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+"."+suffix), files[suffix], 0o600); err != nil {
				return nil, err
			}
		}
	}
	cmd := exec.Command(program, args...) // #nosec G204 -- built above
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &peer{name: Limit, cmd: cmd, stderr: &strings.Builder{}, release: "C, " + release}
	return p, p.start(ctx, o.CPU)
}

// parts returns the head of the answer in two parts: its first line and the field Server,
// which come before the Date, and the other fields.
func (a *Answer) parts() (first, rest []byte) {
	first = fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nServer: %s\r\n", a.Status, map[int]string{200: "OK", 304: "Not Modified"}[a.Status], serverName)
	for _, f := range a.Header {
		if !strings.EqualFold(f[0], "Server") && !strings.EqualFold(f[0], "Date") {
			rest = fmt.Appendf(rest, "%s: %s\r\n", f[0], f[1])
		}
	}
	return first, rest
}
