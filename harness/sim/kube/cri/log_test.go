package cri

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// If a container ends right after it has written much, all of it is in the log as soon
// as the container counts as exited, for both streams.
func TestContainerLogIsCompleteAtTheEnd(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	const count = 5000
	id := pod.start("c", []string{"lines", fmt.Sprint(count)})
	n.exited(id)
	log := n.rawLog(id) // read only once, without waiting
	for stream, word := range map[string]string{"stdout": "out", "stderr": "err"} {
		var want strings.Builder
		for i := range count {
			fmt.Fprintf(&want, "%s %d\n", word, i)
		}
		if got := streamOf(t, log, stream); got != want.String() {
			t.Errorf("%s has %d bytes, want %d", stream, len(got), want.Len())
		}
	}
}

// The kubelet stops reading the log of a container that counts as exited, so this must
// wait for the log. Here the log is a pipe that nobody reads for a while.
func TestContainerRunsUntilItsLogIsWritten(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	path := filepath.Join(pod.cfg.LogDirectory, "c", "0.log")
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, syscall.Mkfifo(path, 0o600))
	log, err := os.OpenFile(path, os.O_RDWR, 0) // both ends, so that opening it does not wait
	must(t, err)
	defer log.Close()
	const size = 100_000 // more than one pipe's buffer, less than those of the log and the program
	id := pod.start("c", []string{"long", fmt.Sprint(size)})
	n.eventually("the program ends", func() bool { return len(processes(t)) == 0 })
	time.Sleep(200 * time.Millisecond) // a runtime that does not wait would be done by now
	if st := n.status(id).State; st != runtime.ContainerState_CONTAINER_RUNNING {
		t.Errorf("it is %v before its log is written", st)
	}
	got := bufio.NewReader(log)
	for text := ""; !strings.HasSuffix(text, " stdout P end\n"); {
		text, err = got.ReadString('\n')
		must(t, err)
	}
	n.exited(id)
}

func TestContainerLogOfLongLines(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	for _, size := range []int{logPiece - 1, logPiece, 3*logPiece + 7} {
		id := pod.start(fmt.Sprint("c", size), []string{"long", fmt.Sprint(size)})
		n.exited(id)
		log := n.rawLog(id)
		if got, want := streamOf(t, log, "stdout"), strings.Repeat("x", size)+"\nend"; got != want {
			t.Errorf("%d bytes: read back %d, want %d", size, len(got), len(want))
		}
		for line := range strings.Lines(log) {
			if len(line) > logPiece+100 {
				t.Errorf("%d bytes: an entry has %d", size, len(line))
			}
		}
	}
}

func TestContainerLogIsReopened(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"serve", "80"})
	n.says(id, "ready")
	path := n.status(id).LogPath
	must(t, os.Rename(path, path+".1"))
	_, err := n.runtime.ReopenContainerLog(n.ctx(), &runtime.ReopenContainerLogRequest{ContainerId: id})
	must(t, err)
	must(t, n.stop(id, ever))
	old, err := os.ReadFile(path + ".1")
	must(t, err)
	if a, b := streamOf(t, string(old), "stdout"), n.output(id, "stdout"); a != "ready\n" || b != "bye\n" {
		t.Errorf("the old log has %q, the new one %q", a, b)
	}
	must(t, os.Remove(path))
	_, err = n.runtime.ReopenContainerLog(n.ctx(), &runtime.ReopenContainerLogRequest{ContainerId: id})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("of a container that has exited: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a failed reopening makes a file")
	}
}

// A log that can't be written does not stop the container.
func TestContainerOutlivesItsLog(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	path := filepath.Join(pod.cfg.LogDirectory, "c", "0.log")
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.Symlink("/dev/full", path))
	id := pod.start("c", []string{"lines", "5000"})
	if st := n.exited(id); st.ExitCode != 0 {
		t.Errorf("it ends with %d", st.ExitCode)
	}
	if c := strings.Count(n.log.String(), "loses lines"); c != 1 {
		t.Errorf("the journal says it %d times:\n%s", c, n.log)
	}
}

// What is written is read again, in entries of bounded size.
func FuzzLogEntries(f *testing.F) {
	f.Add([]byte("a\nb"), 1)
	f.Add(bytes.Repeat([]byte("x"), logPiece+1), 1000)
	f.Add([]byte("\n\n stdout F \n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, chunk int) {
		path := filepath.Join(t.TempDir(), "log")
		l := &containerLog{path: path, journal: &journal{}}
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		l.copy("stdout", &chunks{text, max(1, chunk%5000)})
		l.close()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := streamOf(t, string(b), "stdout"); got != string(text) {
			t.Errorf("read back %q, want %q", got, text)
		}
	})
}

// chunks is a reader that returns a few bytes at a time.
type chunks struct {
	text []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, os.ErrClosed
	}
	n := copy(p, c.text[:min(c.size, len(c.text))])
	c.text = c.text[n:]
	return n, nil
}

func TestLogEntry(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	for piece, want := range map[string]string{
		"a line\n": "2026-01-02T02:04:05.000000006Z stderr F a line\n",
		"a piece":  "2026-01-02T02:04:05.000000006Z stderr P a piece\n",
		"\n":       "2026-01-02T02:04:05.000000006Z stderr F \n",
	} {
		if got := string(appendEntry(nil, at, "stderr", []byte(piece))); got != want {
			t.Errorf("%q becomes %q, want %q", piece, got, want)
		}
	}
}
