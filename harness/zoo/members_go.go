package zoo

import "kubernaut.io/dynamic-toolset/harness/verdict"

var (
	exitCode = []string{verdict.ExitCodeID}
	// asTheyCome are requests that a server never saw, anyWay also those it worked at.
	asTheyCome = []Way{Unreached, Unread, Racing}
	anyWay     = []Way{Unreached, Unread, Racing, Cut}
)

// race is how many requests may meet a close on its way: at most all that kept connections
// have under way, on each of two pods. On an idle host there are few, as an answer takes
// less than a millisecond; on a busy one, a connection has a request under way most of the
// time.
const race = 2 * 12

// Expectations that many servers share.
var (
	diesAtOnce = Expectation{
		Lost: Anybody, Ways: anyWay, Fails: exitCode,
		Why: "SIGTERM ends the process at once, while nodes still route to it",
	}
	diesAfterSleep = Expectation{
		Lost: Blind, Race: race, Fails: exitCode,
		Why: "no new connection arrives any more, but SIGTERM cuts those that are kept",
	}
	closesListenerAtOnce = Expectation{
		Lost: Anybody, Ways: asTheyCome,
		Why: "it closes its listener while nodes still route to it, and idle connections without notice",
	}
	endsFast = Expectation{
		Lost: Anybody, Ways: anyWay,
		Why: "it ends at once, with what is in flight, while nodes still route to it",
	}
	closesIdleAfterSleep = Expectation{
		Lost: Blind, Race: race,
		Why: "no new connection arrives any more, but idle connections are closed without notice",
	}
	losesNothing = Expectation{Lost: Nobody, Why: "it goes on, says Connection: close, and ends when nobody asks any more"}
)

func goServers() []Server {
	framework := func(name, about, source, path string, port int, issues ...Issue) Server {
		return Server{
			Name: name, About: about, Source: source, Issues: issues, Go: &GoPrograms{Packages: "./" + name + "/..."}, Port: port, Path: path,
			Variants: []Variant{
				{Name: "plain", About: "the quick start", Command: []string{"/plain"}, Expect: diesAtOnce},
				{Name: "preStop", About: "the quick start behind a preStop sleep", Command: []string{"/plain"}, PreStop: preStopSleep, Expect: diesAfterSleep},
				{Name: "graceful", About: "as documented", Command: []string{"/graceful"}, Expect: closesListenerAtOnce},
				{Name: "graceful-preStop", About: "as documented, behind a preStop sleep", Command: []string{"/graceful"}, PreStop: preStopSleep, Expect: closesIdleAfterSleep},
			},
		}
	}
	advised := Variant{Name: "advised", About: "our advice", Command: []string{"/advised"}, Good: true, Expect: losesNothing}

	std := framework("nethttp", "Go's net/http", "https://pkg.go.dev/net/http#Server.Shutdown", "/hello", 8080,
		Issue{"golang/go#75591", "Shutdown answers new connections with EOF"},
		Issue{"golang/go#23829", "clients see errors during a graceful shutdown, which closes idle connections"})
	std.Variants[0].Short, std.Variants[1].Short, std.Variants[3].Short = true, true, true
	ours := advised
	ours.Ready, ours.Short = "/ready", true
	ours.SlowPath, ours.SlowSeconds = "/slow?for={duration}", 8
	std.Variants = append(std.Variants, ours)

	gin := framework("gin", "gin", "https://gin-gonic.com/docs/examples/graceful-restart-or-stop/", "/ping", 8080)
	gin.Env = map[string]string{"GIN_MODE": "release"}
	gin.Variants[2].Short = true

	echo := framework("echo", "echo", "https://echo.labstack.com/docs/cookbook/graceful-shutdown", "/", 8080)
	// What is in flight is waited for.
	echo.Variants[3].SlowPath, echo.Variants[3].SlowSeconds = "/slow?for={duration}", 5

	// The plain example of chi listens elsewhere than the graceful one.
	chi := framework("chi", "chi", "https://github.com/go-chi/chi/tree/master/_examples/graceful", "/", 3333)
	chi.Variants = chi.Variants[2:]
	chi.Variants[1].SlowPath, chi.Variants[1].SlowSeconds, chi.Variants[1].Short = "/slow?for={duration}", 5, true

	fiber := framework("fiber", "fiber, on fasthttp", "https://docs.gofiber.io/api/fiber#gracefulcontext", "/", 3000)
	fiber.Variants[0].Short = true

	fast := framework("fasthttp", "fasthttp", "https://pkg.go.dev/github.com/valyala/fasthttp#Server.Shutdown", "/", 8080,
		Issue{"valyala/fasthttp#1737", "CloseOnShutdown doesn't seem to work: clients with kept connections see errors"})
	fast.Variants = append(fast.Variants, advised)
	fast.Variants[3].Short = true

	// Shutdown after SIGTERM is in the program itself.
	httpbin := Server{
		Name: "go-httpbin", About: "go-httpbin, a program", Source: "https://github.com/mccutchen/go-httpbin",
		Go: &GoPrograms{Packages: "github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin"}, Port: 8080, Path: "/get", Ready: "/status/200",
		Variants: []Variant{
			{Name: "plain", About: "as it is", Command: []string{"/go-httpbin"}, SlowPath: "/delay/{duration}", SlowSeconds: 8, Short: true, Expect: closesListenerAtOnce},
			{Name: "preStop", About: "behind a preStop sleep", Command: []string{"/go-httpbin"}, PreStop: preStopSleep, SlowPath: "/delay/{duration}", SlowSeconds: 8, Expect: closesIdleAfterSleep},
		},
	}
	return []Server{std, gin, echo, chi, fiber, fast, httpbin, caddy()}
}

func caddy() Server {
	command := func(file string) []string {
		return []string{"/caddy", "run", "--adapter", "caddyfile", "--config", "/app/" + file}
	}
	return Server{
		Name: "caddy", About: "Caddy", Source: "https://caddyserver.com/docs/caddyfile/options#shutdown-delay",
		Go: &GoPrograms{Dir: "caddy", Packages: "github.com/caddyserver/caddy/v2/cmd/caddy"}, Port: 8080, Path: "/",
		Env: map[string]string{"XDG_DATA_HOME": "/tmp", "XDG_CONFIG_HOME": "/tmp", "HOME": "/tmp"},
		Variants: []Variant{
			{Name: "plain", About: "the quick start", Command: command("Caddyfile"), Expect: closesListenerAtOnce},
			{Name: "preStop", About: "behind a preStop sleep", Command: command("Caddyfile"), PreStop: preStopSleep, Expect: closesIdleAfterSleep},
			{Name: "delayed", About: "as documented: shutdown_delay", Command: command("delayed"), Expect: closesIdleAfterSleep},
			{Name: "advised", About: "our advice: shutdown_delay, and Connection: close while it lasts", Command: command("advised"), Good: true, Expect: losesNothing},
		},
	}
}
