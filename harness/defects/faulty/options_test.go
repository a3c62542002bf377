package main

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	env := func(name string) string { return map[string]string{"POD_NAME": "pod-1"}[name] }
	o, err := parseOptions([]string{"--defect", "exit-code-1", "--propagation-delay=1s"}, env, nil)
	want := options{listen: ":8080", defect: exitCode1, shutdown: full, propagationDelay: time.Second, drainTimeout: 30 * time.Second, podName: "pod-1"}
	if err != nil || o != want {
		t.Errorf("%+v, %v\nwant %+v", o, err, want)
	}
	for _, test := range []struct{ args, says string }{
		{"--defect=x", "there is no defect"},
		{"--shutdown=x", "full, readiness-only and naive"},
		{"--propagation-delay=-1s", "--propagation-delay is -1s"},
		{"--drain-timeout=0", "--drain-timeout is 0s"},
		{"--crash-after=-1s", "--crash-after is -1s"},
		{"--crash-after=soon", "crash-after"},
		{"--defect=exit-code-1 --shutdown=naive", "two deviations at once"},
		{"serve", `["serve"]`},
		{"--nonsense", "nonsense"},
	} {
		if _, err := parseOptions(strings.Fields(test.args), env, nil); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v; want %q in it", test.args, err, test.says)
		}
	}
}

func TestUsageNamesEveryDefect(t *testing.T) {
	var out bytes.Buffer
	if _, err := parseOptions([]string{"--help"}, func(string) string { return "" }, &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, d := range defects {
		if !strings.Contains(out.String(), "  "+string(d.name)+" ") {
			t.Errorf("the usage does not name %s", d.name)
		}
	}
}

func TestServedBy(t *testing.T) {
	for name, want := range map[string]string{"pod-1": "pod-1", "a\r\nSet-Cookie: b": "aSet-Cookie:b", "\x00ü": "unknown"} {
		if got := servedBy(name); got != want {
			t.Errorf("servedBy(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestWrongUseExits2(t *testing.T) {
	var stderr bytes.Buffer
	cmd := command("--defect=everything")
	cmd.Stderr = &stderr
	cmd.Run() //nolint:errcheck // only its exit code matters
	if cmd.ProcessState.ExitCode() != exitUsage {
		t.Errorf("exit code %d", cmd.ProcessState.ExitCode())
	}
	for _, d := range defects {
		if !strings.Contains(stderr.String(), string(d.name)) {
			t.Errorf("the error does not name %s:\n%s", d.name, &stderr)
		}
	}
}

func TestAddressInUseExits1(t *testing.T) {
	p := launch(t)
	var stderr bytes.Buffer
	cmd := command("--listen=" + p.addr)
	cmd.Stderr = &stderr
	cmd.Run() //nolint:errcheck // only its exit code matters
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "--listen") {
		t.Errorf("exit code %d:\n%s", cmd.ProcessState.ExitCode(), &stderr)
	}
}
