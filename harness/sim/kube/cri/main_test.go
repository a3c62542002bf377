package cri

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// The tests run in their own namespaces, like a node of the simulated cluster: TestMain
// starts the test binary again, as process 1 of a host with only a loopback interface.
// If root starts it, it has 65536 user ids, and TestAsAnOrdinaryUser runs the tests of
// containers again with a single one. Otherwise there is only one anyway.

const (
	insideEnv  = "CRI_TEST_INSIDE"  // set in the process in the namespaces
	appEnv     = "CRI_TEST_APP"     // the program that containers run
	oneUserEnv = "CRI_TEST_ONEUSER" // set in the run with a single user id
)

func TestMain(m *testing.M) {
	if os.Args[0] == InitRoleName {
		os.Exit(InitRole())
	}
	if os.Getenv(insideEnv) == "" {
		os.Exit(runInside())
	}
	// The race detector would keep each process for a second after its exit.
	initEnv = append(initEnv, "GORACE=atexit_sleep_ms=0")
	if err := prepareMachine(); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the namespaces of the tests:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runInside builds the containers' program, and runs the tests.
func runInside() int {
	dir, err := os.MkdirTemp("", "cri-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // another user runs it, too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	app := filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-trimpath", "-o", app, "./testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the containers' program: %v\n%s", err, out)
		return 1
	}
	users := 65536
	if os.Getuid() != 0 {
		users = 1
	}
	cmd := machine(os.Getuid(), os.Getgid(), users, os.Args[1:]...)
	cmd.Env = append(cmd.Env, appEnv+"="+app)
	// An interrupt also reaches the child, which is in the same process group.
	signal.Ignore(syscall.SIGINT)
	err = cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "make the namespaces of the tests (does this machine allow user namespaces?):", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// machine returns a command that runs the test binary in new namespaces, in which this
// user is root. Its process ends with this one.
func machine(uid, gid, users int, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		UidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: users}},
		GidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: users}},
		GidMappingsEnableSetgroups: users > 1,
		Credential:                 &syscall.Credential{NoSetGroups: users == 1},
	}
	return cmd
}

// prepareMachine sets up what a node's process finds: its own /proc, a loopback
// interface, and packets forwarded between pods.
func prepareMachine() error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return err
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	return setSysctl("net.ipv4.ip_forward", "1")
}

// onlyOneUser reports whether this run has a single user id.
func onlyOneUser(t *testing.T) bool {
	t.Helper()
	users, err := readIDMap("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	_, only := users.only()
	return only
}

// TestAsAnOrdinaryUser runs the tests again as a user who is not root, and who has only
// one user id.
func TestAsAnOrdinaryUser(t *testing.T) {
	if onlyOneUser(t) || os.Getenv(oneUserEnv) != "" {
		return // this is that run
	}
	patience := time.Hour
	if end, ok := t.Deadline(); ok {
		patience = time.Until(end)
	}
	args := []string{"-test.run=^Test(Container|Sandbox|Exec|Stream|Machine)", "-test.timeout=" + patience.String()}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := machine(65534, 65534, 1, args...)
	cmd.Env = append(cmd.Env, oneUserEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, nil, nil
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the tests of containers fail for an ordinary user: %v", err)
	}
}

func TestMachineHasTheUsersThatItShould(t *testing.T) {
	if want := os.Getenv(oneUserEnv) != ""; want && !onlyOneUser(t) {
		t.Error("the run for an ordinary user has more than one user")
	}
}
