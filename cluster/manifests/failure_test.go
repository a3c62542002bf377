package manifests

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestManifestsDuplicates(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/b.yaml", yamlService("x", "  labels: {from: b}\n"))
	put(t, dir+"/a/z.yaml", yamlService("x", "  labels: {from: a}\n"))
	put(t, dir+"/c.yaml", yamlService("x", "  namespace: default\n  labels: {from: c}\n"))
	m, sink := follow(t, dir, Options{Poll: time.Hour})
	if got := sink.Get("default", "x").Labels["from"]; got != "a" {
		t.Errorf("taken from %s, not from the first path", got)
	}
	p := m.Problems()
	if len(p) != 2 || p[0].File != "b.yaml" || !strings.Contains(p[0].Message, "a/z.yaml") {
		t.Errorf("problems %v", p)
	}
	os.Remove(dir + "/a/z.yaml")
	testenv.Eventually(t, soon, "the next one is taken", func() bool { s := sink.Get("default", "x"); return s != nil && s.Labels["from"] == "b" })
	if sink.Deletes() != 0 {
		t.Errorf("%s", sink.Counts())
	}
}

func TestManifestsLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	put(t, outside+"/secret.yaml", yamlService("secret"))
	put(t, dir+"/real/a.yaml", yamlService("a"))
	for link, target := range map[string]string{
		"/in.yaml": "real/a.yaml", "/out.yaml": outside + "/secret.yaml", "/loop": ".", "/outdir": outside,
		"/nowhere.yaml": "gone.yaml", "/up.yaml": "../../../../../../../../etc/hostname",
	} {
		if err := os.Symlink(target, dir+link); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(dir+"/pipe.yaml", 0o644); err != nil {
		t.Fatal(err)
	}
	m, sink := follow(t, dir, Options{Poll: time.Hour})
	if got := sink.Names(); got != "default/a" {
		t.Errorf("state %s", got)
	}
	var files []string
	for _, p := range m.Problems() {
		files = append(files, p.File)
		if strings.Contains(p.Message, outside) {
			t.Errorf("a message tells what is outside: %s", p)
		}
	}
	if got := strings.Join(files, " "); got != "nowhere.yaml out.yaml pipe.yaml real/a.yaml up.yaml" {
		t.Errorf("problems of %s: %v", got, m.Problems())
	}
}

func TestManifestsFolderGoesAndComesBack(t *testing.T) {
	dir := t.TempDir() + "/m"
	put(t, dir+"/a.yaml", yamlService("a"))
	m, sink := follow(t, dir, Options{})
	os.Rename(dir, dir+".away")
	testenv.Eventually(t, soon, "unreachable", func() bool { return !m.Status().Reachable })
	s := m.Status()
	if s.LastError == "" || s.UnreachableSince.IsZero() || !s.Synced || sink.Names() != "default/a" {
		t.Errorf("status %+v, state %s", s, sink.Names())
	}
	if err := m.Relist(context.Background()); err == nil {
		t.Error("Relist of nothing succeeds")
	}
	put(t, dir+"/b.yaml", yamlService("b"))
	t.Logf("the folder is back after %v", sink.WantNames(t, soon, "default/b"))
	if s := m.Status(); !s.Reachable || s.LastError != "" {
		t.Errorf("status %+v", s)
	}
	put(t, dir+"/c.yaml", yamlService("c")) // the new folder is followed
	sink.WantNames(t, soon, "default/b default/c")

	// In the way of git-sync: the folder is a link that is switched.
	put(t, filepath.Dir(dir)+"/w1/x.yaml", yamlService("x"))
	put(t, filepath.Dir(dir)+"/w2/w.yaml", yamlService("w"))
	link := filepath.Dir(dir) + "/link"
	os.Symlink("w1", link)
	_, sink = follow(t, link, Options{Poll: time.Hour})
	if got := sink.Names(); got != "default/x" {
		t.Fatalf("state %s", got)
	}
	os.Symlink("w2", link+".tmp")
	os.Rename(link+".tmp", link)
	sink.WantNames(t, soon, "default/w")
	put(t, filepath.Dir(dir)+"/w2/z.yaml", yamlService("z"))
	sink.WantNames(t, soon, "default/w default/z")
}

// Without notifications, as on some network file systems, polls find changes.
func TestManifestsPoll(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a.yaml", yamlService("a"))
	sink := clustertest.NewSink()
	m, err := New(dir, Options{Sink: sink, Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	m.follower = newFollower(m)
	m.follower.close()
	m.follower.watcher = nil
	m.stopping = never
	if err := m.look(lookAll); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { m.follower.run(ctx) })
	defer wg.Wait()
	defer cancel()
	put(t, dir+"/sub/b.yaml", yamlService("b"))
	sink.WantNames(t, soon, "default/a default/b")
	put(t, dir+"/a.yaml", yamlService("c"))
	os.Remove(dir + "/sub/b.yaml")
	sink.WantNames(t, soon, "default/c")
}

func TestManifestsBounds(t *testing.T) {
	if _, err := New(t.TempDir()+"/none", Options{Sink: clustertest.NewSink()}); err == nil {
		t.Error("a missing folder is accepted")
	}
	if _, err := New(os.DevNull, Options{Sink: clustertest.NewSink()}); err == nil || !strings.Contains(err.Error(), "neither a folder nor a regular file; for what a program prints give -") {
		t.Errorf("a device: %v", err)
	}

	dir := t.TempDir()
	for i := range 6 {
		put(t, fmt.Sprintf("%s/%d.yaml", dir, i), yamlService(fmt.Sprint("s", i)))
	}
	put(t, dir+"/1/2/3/4/x.yaml", "")
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{MaxFiles: 5}, "more than 5 manifests"},
		{Options{MaxDepth: 3}, "more than 3 deep"},
	} {
		c.opts.Sink = clustertest.NewSink()
		m, err := New(dir, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.opts, err)
		}
	}

	put(t, dir+"/5.yaml", yamlService("s5")+strings.Repeat("# filler\n", 20))
	m, sink := follow(t, dir, Options{MaxFileSize: 150, Poll: time.Hour})
	if p := m.Problems(); len(p) != 1 || p[0].File != "5.yaml" || !strings.Contains(p[0].Message, "larger than 150") {
		t.Errorf("problems %v", p)
	}
	if got := sink.Names(); !strings.HasSuffix(got, "default/s4") {
		t.Errorf("state %s", got)
	}
}

func TestManifestsUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		asNobody(t) // root reads everything
		return
	}
	dir := t.TempDir()
	put(t, dir+"/sub/a.yaml", yamlService("a"))
	m, sink := follow(t, dir, Options{Poll: 50 * time.Millisecond})
	os.Chmod(dir+"/sub", 0)
	testenv.Eventually(t, soon, "a problem", func() bool { return len(m.Problems()) > 0 })
	if sink.Names() != "default/a" {
		t.Error("what can't be read was taken for deleted")
	}
	os.Chmod(dir+"/sub", 0o755)
	testenv.Eventually(t, soon, "no problem", func() bool { return len(m.Problems()) == 0 })
}

// asNobody runs the test once more, in a process without root's rights.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	dir := t.TempDir()
	program, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(dir+"/test", program, 0o755) // go test's own folder is root's alone
	}
	if err == nil {
		err = os.Mkdir(dir+"/tmp", 0o700)
	}
	if err == nil {
		err = os.Chown(dir+"/tmp", nobody, nobody)
	}
	for d := dir; err == nil && len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		err = os.Chmod(d, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir+"/test", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = dir + "/tmp"
	cmd.Env = append(os.Environ(), "TMPDIR="+dir+"/tmp", "HOME="+dir+"/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}
