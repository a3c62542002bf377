package cri

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// protocol is the WebSocket form of the streaming protocol. Each message begins with
// the number of a channel: 0 for input, 1 and 2 for the outputs, 3 for the result, 4
// for the terminal's size.
const protocol = "v4.channel.k8s.io"

func dialStream(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	cfg, err := websocket.NewConfig(strings.Replace(url, "http", "ws", 1), "http://localhost")
	must(t, err)
	cfg.Protocol = []string{protocol}
	conn, err := websocket.DialConfig(cfg)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(2*time.Minute)))
	return conn
}

func send(t *testing.T, conn *websocket.Conn, channel byte, text string) {
	t.Helper()
	must(t, websocket.Message.Send(conn, append([]byte{channel}, text...)))
}

// receive returns what arrived on each channel until the other side closes, or enough
// returns true.
func receive(t *testing.T, conn *websocket.Conn, enough func(map[byte]string) bool) map[byte]string {
	t.Helper()
	got := map[byte]string{}
	for enough == nil || !enough(got) {
		var message []byte
		if err := websocket.Message.Receive(conn, &message); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		if len(message) > 0 {
			got[message[0]] += string(message[1:])
		}
	}
	return got
}

func (n *node) stream(req *runtime.ExecRequest) *websocket.Conn {
	n.t.Helper()
	r, err := n.runtime.Exec(n.ctx(), req)
	must(n.t, err)
	return dialStream(n.t, r.Url)
}

// result returns the exit code in the message on channel 3; 0 for success.
func result(t *testing.T, text string) string {
	t.Helper()
	var st struct {
		Status, Message string
		Details         struct{ Causes []struct{ Message string } }
	}
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatalf("the result %q: %v", text, err)
	}
	switch {
	case st.Status == "Success":
		return "0"
	case len(st.Details.Causes) > 0:
		return st.Details.Causes[0].Message
	}
	return st.Message
}

func TestStreamExec(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	for _, c := range []struct {
		cmd               []string
		out, errs, result string
	}{
		{[]string{"/app", "echo", "hello"}, "hello\n", "", "0"},
		{[]string{"/app", "lines", "1"}, "out 0\n", "err 0\n", "0"},
		{[]string{"/app", "exit", "5"}, "", "", "5"},
	} {
		got := receive(t, n.stream(&runtime.ExecRequest{ContainerId: id, Cmd: c.cmd, Stdout: true, Stderr: true}), nil)
		if got[1] != c.out || got[2] != c.errs || result(t, got[3]) != c.result {
			t.Errorf("%v: %q", c.cmd, got)
		}
	}
	got := receive(t, n.stream(&runtime.ExecRequest{ContainerId: id, Cmd: []string{"/missing"}, Stdout: true}), nil)
	if r := result(t, got[3]); !strings.Contains(r, `the program "/missing" is not in the container`) {
		t.Errorf("a missing program: %q", got)
	}
	// Input arrives while the command runs.
	conn := n.stream(&runtime.ExecRequest{ContainerId: id, Cmd: []string{"/app", "cat"}, Stdin: true, Stdout: true})
	for _, word := range []string{"one\n", "two\n"} {
		send(t, conn, 0, word)
		if got := receive(t, conn, func(m map[byte]string) bool { return len(m[1]) >= len(word) }); got[1] != word {
			t.Errorf("sent %q, got %q", word, got)
		}
	}
	_ = conn.Close() // the end of input ends the command
	n.eventually("cat ends", func() bool { return len(running(t)) == 1 })
	if _, err := n.runtime.Exec(n.ctx(), &runtime.ExecRequest{ContainerId: "unknown", Cmd: []string{"/app"}, Stdout: true}); status.Code(err) != codes.NotFound {
		t.Errorf("in an unknown container: %v", err)
	}
	if _, err := n.runtime.Attach(n.ctx(), &runtime.AttachRequest{ContainerId: id}); status.Code(err) != codes.Unimplemented {
		t.Errorf("attach: %v", err)
	}
}

func TestStreamExecOnATerminal(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"stubborn"})
	conn := n.stream(&runtime.ExecRequest{ContainerId: id, Cmd: []string{"/app", "size"}, Stdin: true, Stdout: true, Tty: true})
	send(t, conn, 4, `{"Width": 77, "Height": 33}`)
	if got := receive(t, conn, nil); got[1] != "33 77\r\n" || result(t, got[3]) != "0" {
		t.Errorf("got %q", got)
	}
	// Ctrl-C reaches the command.
	conn = n.stream(&runtime.ExecRequest{ContainerId: id, Cmd: []string{"/app", "signals"}, Stdin: true, Stdout: true, Tty: true})
	receive(t, conn, func(m map[byte]string) bool { return strings.Contains(m[1], "ready") })
	send(t, conn, 0, "\x03")
	if got := receive(t, conn, nil); !strings.Contains(got[1], "interrupt") || result(t, got[3]) != "42" {
		t.Errorf("after Ctrl-C: %q", got)
	}
}

func TestStreamPortForward(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("server", []string{"serve", "8080"})
	n.says(id, "ready")
	open := func(port int32) *websocket.Conn {
		r, err := n.runtime.PortForward(n.ctx(), &runtime.PortForwardRequest{PodSandboxId: pod.id, Port: []int32{port}})
		must(t, err)
		return dialStream(t, r.Url)
	}
	// The two channels of a port, data and error, each begin with its number.
	header := string(binary.LittleEndian.AppendUint16(nil, 8080))
	conn := open(8080)
	big := strings.Repeat("0123456789", 20000)
	for part := range strings.SplitSeq(strings.TrimSpace(strings.Repeat(big[:1000]+" ", 200)), " ") {
		send(t, conn, 0, part)
	}
	got := receive(t, conn, func(m map[byte]string) bool { return len(m[0]) >= len(header)+len(big) })
	if got[0] != header+big {
		t.Errorf("%d bytes came back, want %d", len(got[0])-len(header), len(big))
	}
	header = string(binary.LittleEndian.AppendUint16(nil, 8081))
	got = receive(t, open(8081), func(m map[byte]string) bool { return len(m[1]) > len(header) })
	if !strings.Contains(got[1], "connection refused") {
		t.Errorf("a port that nobody listens on: %q", got)
	}
	pod.stop()
	if _, err := n.runtime.PortForward(n.ctx(), &runtime.PortForwardRequest{PodSandboxId: pod.id, Port: []int32{1}}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("to a stopped pod: %v", err)
	}
}

// Stop ends what clients have open, and leaves nothing.
func TestStreamsEndWithTheServer(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("server", []string{"serve", "8080"})
	n.says(id, "ready")
	exec := n.stream(&runtime.ExecRequest{ContainerId: id, Cmd: []string{"/app", "stubborn"}, Stdin: true, Stdout: true})
	receive(t, exec, func(m map[byte]string) bool { return strings.Contains(m[1], "ready") })
	r, err := n.runtime.PortForward(n.ctx(), &runtime.PortForwardRequest{PodSandboxId: pod.id, Port: []int32{8080}})
	must(t, err)
	forward := dialStream(t, r.Url)
	send(t, forward, 0, "x")
	receive(t, forward, func(m map[byte]string) bool { return strings.HasSuffix(m[0], "x") })
	must(t, n.server.Stop())
	receive(t, exec, nil)
	receive(t, forward, nil)
	checkNothingLeft(t, n)
}

func TestStreamIsWaitedForByStop(t *testing.T) {
	n := newNode(t)
	ctx, finish, err := n.server.beginStream(t.Context())
	must(t, err)
	stopped := make(chan error, 1)
	go func() { stopped <- n.server.Stop() }()
	<-ctx.Done()
	select {
	case <-stopped:
		t.Error("Stop returns while a stream is being served")
	case <-time.After(300 * time.Millisecond): // a Stop that does not wait would have returned by now
	}
	finish()
	must(t, <-stopped)
	if _, _, err := n.server.beginStream(t.Context()); status.Code(err) != codes.Unavailable {
		t.Errorf("a stream after Stop: %v", err)
	}
}

func TestJoinPassesTheEndOn(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("server", []string{"serve", "80"})
	n.says(id, "ready")
	ns, err := n.server.namespacesOf(pod.id)
	must(t, err)
	conn, err := dialInside(n.ctx(), ns, 80)
	must(t, err)
	s := &oneShot{in: strings.NewReader("question")}
	join(conn, s)
	if s.out.String() != "question" || !s.closed {
		t.Errorf("the echo is %q, closed %v", s.out.String(), s.closed)
	}
}

// oneShot is a client that sends, and then waits for the answer.
type oneShot struct {
	in     io.Reader
	out    bytes.Buffer
	closed bool
}

func (s *oneShot) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *oneShot) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *oneShot) Close() error                { s.closed = true; return nil }
