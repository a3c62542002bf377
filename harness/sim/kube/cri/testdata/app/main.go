// Command app is the program in the containers of the tests. Its first argument says
// what it does.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("app: what to do?")
	}
	args := os.Args[2:]
	switch os.Args[1] {
	case "report":
		report()
	case "exit": // exit CODE
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	case "echo": // echo WORD...
		fmt.Println(strings.Join(args, " "))
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "lines": // lines COUNT, on both outputs
		n, _ := strconv.Atoi(args[0])
		for i := range n {
			fmt.Printf("out %d\n", i)
			fmt.Fprintf(os.Stderr, "err %d\n", i)
		}
	case "long": // long BYTES: a line of so many bytes, then one without an end
		n, _ := strconv.Atoi(args[0])
		fmt.Printf("%s\nend", strings.Repeat("x", n))
	case "files": // files DIR: lists what is below
		_ = filepath.WalkDir(args[0], func(p string, d os.DirEntry, err error) error {
			if d != nil && d.IsDir() && (p == "/proc" || p == "/dev") {
				return filepath.SkipDir
			}
			fmt.Println(p)
			return nil
		})
	case "read": // read FILE
		b, err := os.ReadFile(args[0])
		check(err)
		_, _ = os.Stdout.Write(b)
	case "write": // write FILE TEXT
		check(os.WriteFile(args[0], []byte(args[1]), 0o644))
	case "serve": // serve PORT: sends back what it gets, until SIGTERM
		serve(args[0])
	case "dial": // dial ADDRESS: prints the result
		dial(args[0])
	case "stubborn": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		time.Sleep(time.Hour) // the test kills it
	case "signals": // prints the first signal that arrives, and exits with 42
		c := make(chan os.Signal, 1)
		signal.Notify(c)
		fmt.Println("ready")
		for s := range c {
			if s != syscall.SIGURG { // used by the Go runtime
				fmt.Println(s)
				os.Exit(42)
			}
		}
	case "family": // it and a child ignore SIGTERM
		signal.Ignore(syscall.SIGTERM)
		child := exec.Command("/proc/self/exe", "stubborn")
		child.Stdout = os.Stdout
		check(child.Start())
		check(child.Wait())
	case "size": // prints the terminal's size once it is set
		for {
			if s := terminalSize(); s != "0 0" {
				fmt.Println(s)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	default:
		fail("app: unknown: " + os.Args[1])
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

// report prints the state of this process, as JSON.
func report() {
	host, _ := os.Hostname()
	dir, _ := os.Getwd()
	groups, _ := os.Getgroups()
	state, _ := os.ReadFile("/proc/self/status")
	status := map[string]string{}
	for line := range strings.Lines(string(state)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"pid": os.Getpid(), "uid": os.Getuid(), "gid": os.Getgid(), "groups": groups,
		"host": host, "dir": dir, "env": os.Environ(), "args": os.Args,
		"effective": status["CapEff"], "bounding": status["CapBnd"], "noNewPrivileges": status["NoNewPrivs"],
	})
}

func serve(port string) {
	l, err := net.Listen("tcp4", ":"+port)
	check(err)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		fmt.Println("bye")
		os.Exit(0)
	}()
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		check(err)
		go func() {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}()
	}
}

func dial(address string) {
	c, err := net.DialTimeout("tcp", address, 700*time.Millisecond)
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		fmt.Println("refused")
	case errors.As(err, &timeout) && timeout.Timeout():
		fmt.Println("silence")
	case err != nil:
		fmt.Println(err)
	default:
		_, _ = c.Write([]byte("hello\n"))
		line, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Println("answer " + strings.TrimSpace(line))
	}
}
