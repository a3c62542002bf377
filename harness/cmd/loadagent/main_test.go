package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/load/agent"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const patience = testenv.Patience

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func try(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = command(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestHelpAndMistakes(t *testing.T) {
	for _, test := range []struct {
		args  string
		stdin string
		code  int
		out   string // on stdout, or in the error
	}{
		{"--help", "", 0, "Usage: loadagent"},
		{"run --help", "", 0, "Usage: loadagent"},
		{"--what", "", exitFailed, "see --help"},
		{"walk", "", exitFailed, `unknown argument "walk"`},
		{"--listen nowhere", "", exitFailed, "--listen"},
		{"run", "", exitFailed, "say with --config"},
		{"run --config /does/not/exist", "", exitFailed, "no such file"},
		{"run --config -", "{", exitFailed, "--config"},
		{"run --config -", "{}", exitFailed, "clients is empty"},
		{"run --config - --for 0s", `{"address":"a:1","clients":[{"class":"new","rate":1}],"targets":[{"path":"/"}]}`, exitFailed, "--for"},
		{"run --config - --records /does/not/exist", `{"address":"a:1","clients":[{"class":"new","rate":1}],"targets":[{"path":"/"}]}`, exitFailed, "--records"},
	} {
		code, stdout, stderr := try(test.stdin, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stdout+stderr, test.out) || (code == 0) != (stderr == "") {
			t.Errorf("loadagent %s: %d\n%s\n%s", test.args, code, stdout, stderr)
		}
	}
}

// The examples in the usage are valid configurations.
func TestUsageExample(t *testing.T) {
	parts := strings.Split(usage, "\n  {")
	for i, part := range parts[1:] {
		text, _, _ := strings.Cut("{"+part, "\n\n")
		if _, err := readConfig("-", strings.NewReader(text)); err != nil {
			t.Errorf("example %d: %v: %s", i+1, err, text)
		}
	}
	if len(parts) != 3 {
		t.Errorf("%d examples", len(parts)-1)
	}
}

func TestByHand(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Served-By", "pod-a")
		if req.URL.Path == "/lost" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	records := filepath.Join(t.TempDir(), "records")
	config := `{"address":"` + server.Listener.Addr().String() + `","podHeader":"X-Served-By","clients":[{"class":"new","rate":100}],"targets":[{"path":"%s"}]}`

	code, stdout, stderr := try(fmt.Sprintf(config, "/"), "run", "--config", "-", "--for", "300ms", "--records", records)
	if code != 0 || stderr != "" || !strings.Contains(stdout, "new") || !strings.Contains(stdout, "pod-a answered") {
		t.Errorf("%d\n%s\n%s", code, stdout, stderr)
	}
	data, err := os.ReadFile(records)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	var r record.Request
	if err := json.Unmarshal([]byte(lines[0]), &r); err != nil || r.Failed() || r.Pod != "pod-a" || len(lines) < 10 {
		t.Errorf("%d lines, the first %s: %v", len(lines), lines[0], err)
	}
	code, stdout, stderr = try(fmt.Sprintf(config, "/lost"), "run", "--config", "-", "--for", "300ms")
	if code != exitLost || stderr != "" || !strings.Contains(stdout, "x unexpected status; the first, new at") {
		t.Errorf("%d\n%s\n%s", code, stdout, stderr)
	}
}

// The agent serves until it is told to end, and then tells its harness.
func TestServe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, []string{"--listen", "127.0.0.1:0"}, io.Discard, write) }()
	said, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(strings.TrimPrefix(said, "listening on "))
	some := make(chan bool, 1)
	session, err := agent.Start(context.Background(), new(net.Dialer).DialContext, address, load.Config{
		Address: server.Listener.Addr().String(), Clients: []load.Client{{Class: record.New, Rate: 100}}, Targets: []load.Target{{Path: "/"}},
	}, func(record.Request) {
		select {
		case some <- true:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	<-some
	cancel()
	select {
	case <-session.Done():
	case <-time.After(patience):
		t.Fatal("the session did not end")
	}
	if err := session.Err(); err == nil || !strings.Contains(err.Error(), errTold.Error()) {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the agent did not end")
	}
}
