package kind

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// A guard is a process that removes the cluster if this process ends without having
// done so, even if it is killed. It waits for the end of a pipe that only this process
// holds open.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// guardScript removes the cluster $1 and the folder $2. It tries three times, since a
// node may have been in creation when the harness was killed.
const guardScript = `read -r dismissed && exit
for _ in 1 2 3; do
	` + removal + `
	sleep 2
done
rm -rf "$2"`

func startGuard(name, dir string) (*guard, error) {
	cmd := exec.Command("sh", "-c", guardScript, "sh", name, dir) // #nosec G204 -- names of ours
	// In its own session, so that Ctrl-C at the harness's terminal does not end it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the process that removes the cluster after a crash: %w", err)
	}
	return &guard{cmd, pipe}, nil
}

// dismiss ends the guard, after the cluster was removed.
func (g *guard) dismiss() {
	_, _ = io.WriteString(g.pipe, "dismissed\n") // if this fails, the guard finds nothing to remove
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
}
