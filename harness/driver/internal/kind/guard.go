package kind

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// A guard removes the cluster when this process ends without having done so,
// even if it is killed: it waits for the end of a pipe that only this process
// holds open.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// guardScript removes the cluster $1 and the folder $2. It looks three times: a
// node may have been in the making when the harness was killed.
const guardScript = `read -r dismissed && exit
for _ in 1 2 3; do
	` + removal + `
	sleep 2
done
rm -rf "$2"`

func startGuard(name, dir string) (*guard, error) {
	cmd := exec.Command("sh", "-c", guardScript, "sh", name, dir) // #nosec G204 -- names of ours
	// A group of its own: what interrupts the harness at a terminal does not end the
	// guard.
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

// dismiss ends the guard: there is nothing to remove any more.
func (g *guard) dismiss() {
	_, _ = io.WriteString(g.pipe, "dismissed\n") // if it can't be told, it finds nothing
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
}
