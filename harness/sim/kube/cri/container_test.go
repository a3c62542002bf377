package cri

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// self is what the app reports about itself.
type self struct {
	PID, UID, GID                        int
	Groups                               []int
	Host, Dir                            string
	Env, Args                            []string
	Effective, Bounding, NoNewPrivileges string
}

func parseSelf(t *testing.T, text string) self {
	t.Helper()
	var s self
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return s
}

func TestContainerRunsAsAsked(t *testing.T) {
	n := newNode(t)
	n.load("test/env:v1", map[string]any{"entrypoint": []string{"/app"}, "env": []string{"A=image", "B=image"}},
		map[string]string{"/app": os.Getenv(appEnv)})
	pod := n.sandbox("pod")
	got := parseSelf(t, pod.run("c", []string{"report"}, func(c *runtime.ContainerConfig) {
		c.Image.Image = "test/env:v1"
		c.WorkingDir = "/work/here"
		c.Envs = []*runtime.KeyValue{{Key: "B", Value: []byte("pod")}, {Key: "EMPTY"}}
	}))
	if got.PID != 1 || got.Host != "pod-host" || got.Dir != "/work/here" || got.UID != 0 || got.GID != 0 {
		t.Errorf("it is process %d on %q in %q as %d:%d, want process 1 on pod-host in /work/here as 0:0", got.PID, got.Host, got.Dir, got.UID, got.GID)
	}
	want := []string{"PATH=" + defaultPath, "HOSTNAME=pod-host", "HOME=/root", "A=image", "B=pod", "EMPTY="}
	if !slices.Equal(got.Env, want) {
		t.Errorf("its environment is %q, want %q", got.Env, want)
	}
	if want := []string{"/app", "report"}; !slices.Equal(got.Args, want) {
		t.Errorf("its arguments are %q, want %q", got.Args, want)
	}
}

func TestContainerCommandReplacesTheEntrypoint(t *testing.T) {
	n := newNode(t)
	n.load("test/path:v1", map[string]any{"entrypoint": []string{"/nowhere"}, "env": []string{"PATH=/none:/opt"}},
		map[string]string{"/opt/prog": os.Getenv(appEnv)})
	out := n.sandbox("pod").run("c", []string{"a", "b"}, func(c *runtime.ContainerConfig) {
		c.Image.Image, c.Command = "test/path:v1", []string{"prog", "echo"}
	})
	if out != "a b\n" {
		t.Errorf("it says %q", out)
	}
}

func TestContainerSeesOnlyItsFiles(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	got := strings.Fields(pod.run("c", []string{"files", "/"}))
	want := []string{"/", "/app", "/etc", "/etc/group", "/etc/hostname", "/etc/hosts", "/etc/passwd", "/etc/resolv.conf", "/root", "/tmp"}
	if !slices.Equal(got, want) {
		t.Errorf("it sees\n%q, want\n%q", got, want)
	}
	for file, want := range map[string]string{
		"/etc/resolv.conf": "search a.local b.local\nnameserver 10.96.0.10\noptions ndots:5\n",
		"/etc/hostname":    "pod-host\n",
		"/etc/hosts":       "127.0.0.1\tlocalhost\n" + pod.address() + "\tpod-host\n",
	} {
		if got := pod.run("r"+filepath.Base(file), []string{"read", file}); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}

func TestContainerMounts(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o755))
	must(t, os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "link")))
	must(t, os.WriteFile(filepath.Join(dir, "real", "file"), []byte("content"), 0o644))
	mounts := func(c *runtime.ContainerConfig) {
		c.Mounts = []*runtime.Mount{
			{ContainerPath: "/data/inner/file", HostPath: filepath.Join(dir, "real", "file"), Readonly: true},
			{ContainerPath: "/data", HostPath: filepath.Join(dir, "link")},
			{ContainerPath: "/locked", HostPath: filepath.Join(dir, "real"), Readonly: true},
			{ContainerPath: "/etc/hosts", HostPath: filepath.Join(dir, "real", "file")},
			{ContainerPath: "/dev/termination-log", HostPath: filepath.Join(dir, "real", "last-words")},
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "real", "last-words"), nil, 0o666))
	for _, file := range []string{"/data/file", "/data/inner/file", "/locked/file", "/etc/hosts"} {
		if got := pod.run("read", []string{"read", file}, mounts); !strings.HasSuffix(got, "content") {
			t.Errorf("%s is %q", file, got)
		}
	}
	pod.run("write", []string{"write", "/data/new", "text"}, mounts)
	if b, err := os.ReadFile(filepath.Join(dir, "real", "new")); string(b) != "text" {
		t.Errorf("what it wrote to the mount is %q on the node, %v", b, err)
	}
	pod.run("last", []string{"write", "/dev/termination-log", "words"}, mounts)
	if b, err := os.ReadFile(filepath.Join(dir, "real", "last-words")); string(b) != "words" {
		t.Errorf("its last words are %q, %v", b, err)
	}
	for _, file := range []string{"/locked/x", "/data/inner/file"} {
		id := pod.start("refused"+filepath.Base(file), []string{"write", file, "text"}, mounts)
		if st := n.exited(id); st.ExitCode != 1 || !strings.Contains(n.output(id, "stderr"), "read-only file system") {
			t.Errorf("writing to the read-only %s ends with %d: %s", file, st.ExitCode, n.rawLog(id))
		}
	}
	_, err := n.runtime.CreateContainer(n.ctx(), pod.request("c", nil, func(c *runtime.ContainerConfig) {
		c.Mounts = []*runtime.Mount{{ContainerPath: "/x", HostPath: filepath.Join(dir, "missing")}}
	}))
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "missing")) {
		t.Errorf("a mount of what does not exist: %v", err)
	}
}

func TestContainerRootMayBeReadOnly(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	dir := t.TempDir()
	for _, readOnly := range []bool{false, true} {
		for file, wantOnReadOnly := range map[string]int32{"/tmp/x": 1, "/etc/x": 1, "/x": 1, "/etc/hostname": 1, "/mounted/x": 0, "/dev/shm/x": 0} {
			id := pod.start(strconv.FormatBool(readOnly)+strings.ReplaceAll(file, "/", "_"), []string{"write", file, "t"}, func(c *runtime.ContainerConfig) {
				c.Linux.SecurityContext.ReadonlyRootfs = readOnly
				c.Mounts = []*runtime.Mount{{ContainerPath: "/mounted", HostPath: dir}}
			})
			want := int32(0)
			if readOnly {
				want = wantOnReadOnly
			}
			if got := n.exited(id).ExitCode; got != want {
				t.Errorf("with readOnlyRootFilesystem %v, writing %s ends with %d, want %d: %s", readOnly, file, got, want, n.rawLog(id))
			}
		}
	}
}

func TestContainerFolderOfAnImage(t *testing.T) {
	n := newNode(t)
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "etc", "app"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte("image\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(root, "etc", "app", "conf"), []byte("image\n"), 0o644))
	n.load("test/root:v1", map[string]any{"entrypoint": []string{"/bin/app"}}, map[string]string{"/": root, "/bin/app": os.Getenv(appEnv), "/more": root})
	pod := n.sandbox("pod")
	image := func(c *runtime.ContainerConfig) { c.Image.Image = "test/root:v1" }
	for _, file := range []string{"/etc/passwd", "/etc/app/conf", "/more/etc/passwd"} {
		pod.run("write", []string{"write", file, "container"}, image)
		if got := pod.run("read", []string{"read", file}, image); !strings.HasSuffix(got, "image\n") {
			t.Errorf("%s of the next container is %q: one container changes the other's image", file, got)
		}
	}
	if got := pod.run("read2", []string{"read", "/etc/hostname"}, image); got != "pod-host\n" {
		t.Errorf("its /etc/hostname is %q", got)
	}
}

// A container begins as the image says: with its arguments, in its folder, as its user
// with that user's groups and home. What the pod says counts more.
func TestContainerAsTheImageSays(t *testing.T) {
	n := newNode(t)
	root := t.TempDir()
	for file, text := range map[string]string{
		"etc/real-passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/var/www:/bin/false\nother:x:50:51::/home/other:\n",
		"etc/group":       "web:x:44:\ntty:x:5:other,web\nbroken\n",
		"srv/file":        "",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755))
		must(t, os.WriteFile(filepath.Join(root, file), []byte(text), 0o644))
	}
	must(t, os.Symlink("/etc/real-passwd", filepath.Join(root, "etc/passwd"))) // absolute, as in images of Nix
	n.load("test/says:v1", map[string]any{
		"entrypoint": []string{"/bin/app"}, "cmd": []string{"report"}, "username": "web", "workingDir": "/srv", "stopSignal": "SIGQUIT",
	}, map[string]string{"/": root, "/bin/app": os.Getenv(appEnv)})
	roots, err := filepath.Glob(filepath.Join(n.dir, "images/*/files/*/etc"))
	must(t, err)
	must(t, os.Chmod(filepath.Dir(roots[0]), 0o700)) // as whoever unpacks an image in a folder of his own has it
	st, err := n.images.ImageStatus(n.ctx(), &runtime.ImageStatusRequest{Image: spec("test/says:v1")})
	must(t, err)
	if st.Image.Username != "web" || st.Image.Uid != nil {
		t.Errorf("the image's user is %q, %v: the kubelet would not pass the name on", st.Image.Username, st.Image.Uid)
	}
	pod := n.sandbox("pod")
	image := func(c *runtime.ContainerConfig) { c.Image.Image = "test/says:v1" }
	type says struct {
		UID, GID int
		Groups   []int
		Dir      string
		Env      []string
	}
	for name, what := range map[string]struct {
		change func(*runtime.ContainerConfig)
		want   says
		home   string
	}{
		"the image's":         {func(*runtime.ContainerConfig) {}, says{UID: 33, GID: 44, Groups: []int{5}, Dir: "/srv"}, "/var/www"},
		"the kubelet's name":  {func(c *runtime.ContainerConfig) { c.Linux.SecurityContext.RunAsUsername = "other" }, says{UID: 50, GID: 51, Groups: []int{5}, Dir: "/srv"}, "/home/other"},
		"the pod's number":    {func(c *runtime.ContainerConfig) { c.Linux.SecurityContext.RunAsUser = &runtime.Int64Value{Value: 50} }, says{UID: 50, GID: 51, Groups: []int{5}, Dir: "/srv"}, "/home/other"},
		"a number not listed": {func(c *runtime.ContainerConfig) { c.Linux.SecurityContext.RunAsUser = &runtime.Int64Value{Value: 7} }, says{UID: 7, GID: 0, Groups: []int{}, Dir: "/srv"}, "/"},
		"the pod's folder":    {func(c *runtime.ContainerConfig) { c.WorkingDir = "/etc" }, says{UID: 33, GID: 44, Groups: []int{5}, Dir: "/etc"}, "/var/www"},
	} {
		var got says
		text := pod.run(name, nil, image, what.change)
		must(t, json.Unmarshal([]byte(text), &got))
		if !slices.Contains(got.Env, "HOME="+what.home) {
			t.Errorf("%s: no HOME=%s in %q", name, what.home, got.Env)
		}
		got.Env, got.Groups = nil, append([]int{}, got.Groups...)
		if onlyOneUser(t) {
			got.UID, got.GID, got.Groups = what.want.UID, what.want.GID, what.want.Groups
		}
		if !reflect.DeepEqual(got, what.want) {
			t.Errorf("%s: %+v, want %+v", name, got, what.want)
		}
	}
	for sig, want := range map[runtime.Signal]string{runtime.Signal_RUNTIME_DEFAULT: "quit", runtime.Signal_SIGINT: "interrupt"} {
		id := pod.start("stop"+sig.String(), []string{"signals"}, image, func(c *runtime.ContainerConfig) { c.StopSignal = sig })
		n.says(id, "ready")
		must(t, n.stop(id, ever))
		if got := n.output(id, "stdout"); got != "ready\n"+want+"\n" {
			t.Errorf("the stop signal: its log is %q, want %q", got, want)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]syscall.Signal{"SIGQUIT": 3, "quit": 3, "3": 3, "SIGRTMIN": 34, "SIGRTMIN+3": 37, "RTMAX-1": 63, "SIGRTMAX": 64} {
		if got, err := parseSignal(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, wrong := range []string{"", "SIGNAL", "0", "-1", "65", "SIGRTMIN+31"} {
		if got, err := parseSignal(wrong); err == nil {
			t.Errorf("%q: %v", wrong, got)
		}
	}
}

func TestContainerRights(t *testing.T) {
	n := newNode(t)
	n.load("test/user:v1", map[string]any{"entrypoint": []string{"/app"}, "user": 65532}, map[string]string{"/app": os.Getenv(appEnv)})
	one := onlyOneUser(t)
	const defaults, none = "00000000a80425fb", "0000000000000000"
	for name, c := range map[string]struct {
		change          func(*runtime.ContainerConfig, *runtime.LinuxContainerSecurityContext)
		uid, gid        int
		groups          []int
		effective       string // if all users exist
		bounding        string
		noNewPrivileges string
	}{
		"nothing asked": {func(*runtime.ContainerConfig, *runtime.LinuxContainerSecurityContext) {}, 0, 0, []int{}, defaults, defaults, "0"},
		"the image's user": {func(c *runtime.ContainerConfig, _ *runtime.LinuxContainerSecurityContext) {
			c.Image.Image = "test/user:v1"
		}, 65532, 0, []int{}, none, defaults, "0"},
		"the pod's user": {func(c *runtime.ContainerConfig, s *runtime.LinuxContainerSecurityContext) {
			c.Image.Image = "test/user:v1"
			s.RunAsUser, s.RunAsGroup = &runtime.Int64Value{Value: 1000}, &runtime.Int64Value{Value: 2000}
			s.SupplementalGroups, s.NoNewPrivs = []int64{3000, 4000}, true
		}, 1000, 2000, []int{3000, 4000}, none, defaults, "1"},
		"the hardened pod": {func(_ *runtime.ContainerConfig, s *runtime.LinuxContainerSecurityContext) {
			s.RunAsUser, s.NoNewPrivs = &runtime.Int64Value{Value: 65532}, true
			s.Capabilities = &runtime.Capability{DropCapabilities: []string{"ALL"}}
		}, 65532, 0, []int{}, none, none, "1"},
		"root without rights": {func(_ *runtime.ContainerConfig, s *runtime.LinuxContainerSecurityContext) {
			s.Capabilities = &runtime.Capability{DropCapabilities: []string{"ALL"}}
		}, 0, 0, []int{}, none, none, "0"},
		"one right": {func(_ *runtime.ContainerConfig, s *runtime.LinuxContainerSecurityContext) {
			s.Capabilities = &runtime.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"}}
		}, 0, 0, []int{}, "0000000000000400", "0000000000000400", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			n.t = t
			pod := n.sandbox("rights-" + strings.ReplaceAll(name, " ", "-"))
			id := pod.start("c", []string{"stubborn"}, func(cfg *runtime.ContainerConfig) {
				c.change(cfg, cfg.Linux.SecurityContext)
			})
			report := pod.run("report", []string{"report"}, func(cfg *runtime.ContainerConfig) {
				c.change(cfg, cfg.Linux.SecurityContext)
			})
			r, err := n.runtime.ExecSync(n.ctx(), &runtime.ExecSyncRequest{ContainerId: id, Cmd: []string{"/app", "report"}})
			must(t, err)
			uid, gid, groups, effective, bounding := c.uid, c.gid, c.groups, c.effective, c.bounding
			if one {
				// There is one user, root of the namespace. A container of another user
				// has no rights.
				if uid != 0 {
					effective, bounding = none, none
				}
				uid, gid, groups = 0, 0, []int{}
			}
			for how, text := range map[string]string{"the container": report, "a command in it": string(r.Stdout)} {
				got := parseSelf(t, text)
				if one {
					got.Groups = []int{} // those of whoever started the tests
				}
				if got.UID != uid || got.GID != gid || !slices.Equal(got.Groups, groups) {
					t.Errorf("%s is %d:%d %v, want %d:%d %v", how, got.UID, got.GID, got.Groups, uid, gid, groups)
				}
				if got.Effective != effective || got.Bounding != bounding || got.NoNewPrivileges != c.noNewPrivileges {
					t.Errorf("%s has the rights %s, at most %s, no new ones %s; want %s, %s, %s", how,
						got.Effective, got.Bounding, got.NoNewPrivileges, effective, bounding, c.noNewPrivileges)
				}
			}
			if user := n.status(id).User.Linux; user.Uid != int64(uid) || user.Gid != int64(gid) || len(user.SupplementalGroups) != len(groups) {
				t.Errorf("the status says user %v", user)
			}
			pod.stop()
		})
	}
	n.t = t
}

func TestContainerHidesWhatKubeletWants(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	masked := func(c *runtime.ContainerConfig) {
		c.Linux.SecurityContext.MaskedPaths = []string{"/proc/version", "/proc/irq", "/proc/missing"}
		c.Linux.SecurityContext.ReadonlyPaths = []string{"/proc/sys", "/proc/missing"}
	}
	if got := pod.run("a", []string{"read", "/proc/version"}, masked); got != "" {
		t.Errorf("/proc/version is %q", got)
	}
	if got := pod.run("b", []string{"files", "/proc/irq"}, masked); got != "/proc/irq\n" {
		t.Errorf("/proc/irq has %q", got)
	}
	admin := func(c *runtime.ContainerConfig) {
		c.Linux.SecurityContext.Capabilities = &runtime.Capability{AddCapabilities: []string{"NET_ADMIN"}}
	}
	id := pod.start("c", []string{"write", "/proc/sys/net/ipv4/ip_forward", "1"}, masked, admin)
	if st := n.exited(id); st.ExitCode != 1 {
		t.Error("/proc/sys can be written")
	}
	pod.run("d", []string{"write", "/proc/sys/net/ipv4/ip_forward", "1"}, admin) // it could, if it were not forbidden
}

func TestContainerExitIsRecorded(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	before := time.Now().UnixNano()
	for _, c := range []struct {
		args   []string
		code   int32
		reason string
	}{{[]string{"exit", "0"}, 0, "Completed"}, {[]string{"exit", "7"}, 7, "Error"}} {
		st := n.exited(pod.start("c", c.args))
		if st.ExitCode != c.code || st.Reason != c.reason {
			t.Errorf("%v: code %d, reason %q, want %d, %q", c.args, st.ExitCode, st.Reason, c.code, c.reason)
		}
		if !(before <= st.CreatedAt && st.CreatedAt <= st.StartedAt && st.StartedAt <= st.FinishedAt && st.FinishedAt <= time.Now().UnixNano()) {
			t.Errorf("created, started, finished at %d, %d, %d", st.CreatedAt, st.StartedAt, st.FinishedAt)
		}
	}
}

func TestContainerThatCannotStart(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	for name, c := range map[string]struct {
		command []string
		want    string
	}{
		"no such file":    {[]string{"/missing"}, `the program "/missing" is not in the container`},
		"not in the PATH": {[]string{"missing"}, `the program "missing" is in no folder of the container's PATH`},
		"a folder":        {[]string{"/tmp"}, `the program "/tmp" is a folder`},
		"no program":      {[]string{"/etc/passwd"}, "is not executable"},
	} {
		id := pod.create(strings.ReplaceAll(name, " ", "-"), nil, func(cfg *runtime.ContainerConfig) { cfg.Command = c.command })
		_, err := n.runtime.StartContainer(n.ctx(), &runtime.StartContainerRequest{ContainerId: id})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: StartContainer says %v, want %q", name, err, c.want)
		}
		st := n.status(id)
		if st.State != runtime.ContainerState_CONTAINER_EXITED || st.ExitCode != 128 || st.Reason != "StartError" || !strings.Contains(st.Message, c.want) {
			t.Errorf("%s: status %v, code %d, reason %q, message %q", name, st.State, st.ExitCode, st.Reason, st.Message)
		}
		if _, err := n.runtime.StartContainer(n.ctx(), &runtime.StartContainerRequest{ContainerId: id}); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: a second start: %v", name, err)
		}
	}
}

func TestContainerOfMissingImage(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	_, err := n.runtime.CreateContainer(n.ctx(), pod.request("c", nil, func(c *runtime.ContainerConfig) { c.Image.Image = "no/such:v9" }))
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "no/such:v9") || !strings.Contains(err.Error(), "load it with") {
		t.Errorf("CreateContainer says %v", err)
	}
}

func TestContainerStdoutCanBeOpenedAgain(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"write", "/dev/stdout", "text"}, func(c *runtime.ContainerConfig) {
		c.Linux.SecurityContext.RunAsUser = &runtime.Int64Value{Value: 65532}
	})
	if st := n.exited(id); st.ExitCode != 0 || n.output(id, "stdout") != "text" {
		t.Errorf("code %d, log %q", st.ExitCode, n.rawLog(id))
	}
}

func TestContainerOnATerminal(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	if got := pod.run("c", []string{"echo", "hello"}, func(c *runtime.ContainerConfig) { c.Tty = true }); got != "hello\r\n" {
		t.Errorf("its log is %q", got)
	}
}

func TestContainersAreListed(t *testing.T) {
	n := newNode(t)
	a, b := n.sandbox("a"), n.sandbox("b")
	one := a.start("one", []string{"stubborn"})
	two := a.create("two", nil)
	three := b.start("three", []string{"exit", "0"})
	n.exited(three)
	for name, c := range map[string]struct {
		filter *runtime.ContainerFilter
		want   []string
	}{
		"all":         {nil, []string{one, two, three}},
		"by ID":       {&runtime.ContainerFilter{Id: one}, []string{one}},
		"by sandbox":  {&runtime.ContainerFilter{PodSandboxId: a.id}, []string{one, two}},
		"by label":    {&runtime.ContainerFilter{LabelSelector: map[string]string{"container": "two"}}, []string{two}},
		"no label":    {&runtime.ContainerFilter{LabelSelector: map[string]string{"other": ""}}, nil},
		"running":     {&runtime.ContainerFilter{State: &runtime.ContainerStateValue{State: runtime.ContainerState_CONTAINER_RUNNING}}, []string{one}},
		"exited":      {&runtime.ContainerFilter{State: &runtime.ContainerStateValue{State: runtime.ContainerState_CONTAINER_EXITED}}, []string{three}},
		"created":     {&runtime.ContainerFilter{State: &runtime.ContainerStateValue{State: runtime.ContainerState_CONTAINER_CREATED}}, []string{two}},
		"one of both": {&runtime.ContainerFilter{Id: one, PodSandboxId: b.id}, nil},
	} {
		r, err := n.runtime.ListContainers(n.ctx(), &runtime.ListContainersRequest{Filter: c.filter})
		must(t, err)
		var got []string
		for _, x := range r.Containers {
			got = append(got, x.Id)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
