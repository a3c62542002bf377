package load

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// nodeScript is a server of Node's http2 module. On SIGTERM it says GOAWAY and ends when all
// is answered, or exits at once.
const nodeScript = `
const handler = (req, res) => {
  const wait = Number(new URL(req.url, 'http://a').searchParams.get('for')?.replace('s', '') ?? 0);
  setTimeout(() => {
    res.setHeader('content-type', 'application/json');
    res.end('{}');
  }, wait * 1000);
};
const server = require('http2').createServer(handler);
const sessions = new Set();
server.on('session', s => { sessions.add(s); s.on('close', () => sessions.delete(s)); });
process.on('SIGTERM', () => {
  if (process.argv[2] === 'exit') process.exit(0);
  for (const s of sessions) s.close();
  setTimeout(() => server.close(() => process.exit(0)), 500);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`

// node starts a server of Node, and returns its address and process.
func node(t *testing.T, args ...string) (string, *os.Process) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		testenv.Missing(t, "Node", "Install it: it has servers that nobody here wrote.")
	}
	script := filepath.Join(t.TempDir(), "server.js")
	if err := os.WriteFile(script, []byte(nodeScript), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", append([]string{script}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	port := make([]byte, 16)
	n, err := out.Read(port)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strings.TrimSpace(string(port[:n]))), cmd.Process
}

// A server of Node that says GOAWAY loses nothing; one that exits at once loses what was
// in flight.
func TestNodeHTTP2(t *testing.T) {
	for end, lossless := range map[string]bool{"goaway": true, "exit": false} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			old, process := node(t, end)
			next, _ := node(t, end)
			var address atomic.Pointer[string]
			address.Store(&old)
			c := allClasses(old)
			c.Protocol, c.Clients = record.HTTP2, c.Clients[:3]
			c.Targets = c.Targets[:2]
			c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, *address.Load())
			}
			slow := 0
			all, _ := runUntil(t, c, func(r *record.Request, n int) bool {
				// As when the endpoint is removed first: a connection that the server has not
				// accepted yet when it closes its listener is reset, which on a busy machine
				// would be many.
				if n == 100 {
					address.Store(&next)
				}
				if n == 150 { // some slow requests are in flight
					_ = process.Signal(syscall.SIGTERM)
				}
				if r.Class == record.Slow {
					slow++
				}
				return slow >= 16
			})
			lost := 0
			for i := range all {
				if r := &all[i]; r.Failed() {
					lost++
					if lossless || !strings.Contains(r.Detail, "without GOAWAY") {
						t.Errorf("%+v", r)
					}
				}
			}
			if !lossless && lost == 0 {
				t.Error("nothing was lost")
			}
		})
	}
}
