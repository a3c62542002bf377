// Package zoo runs servers that nobody here wrote, and compares what the verifier says
// about them with what is known.
//
// A [Server] is a program of Debian's or of the Go module proxy, unmodified. Frameworks
// run their own documented examples (servers/, files/), which quote their source. Each
// has variants: as a beginner has it, behind a preStop sleep, with the graceful end that
// its documentation shows, and with our advice. Each variant has an [Expectation], which
// was written before the first run, from the documentation and the public issues.
// [Judge] compares a run with it, and so judges the verifier.
package zoo

// A Server is one program with its variants.
type Server struct {
	Name  string // of the folders in servers/ or files/: lower case
	About string // what it is, in a few words
	// Source is where its documentation shows the program.
	Source string
	Issues []Issue

	// Where the program comes from: packages of Go, or of Debian.
	Go     *GoPrograms
	Debian []string

	Port int
	// Path is requested. Ready is the path of the readiness probe; empty: Path.
	Path, Ready string
	Env         map[string]string
	Variants    []Variant
}

// GoPrograms are built in a folder below servers/ that has a go.mod; "": servers/ itself.
// Packages are patterns of go build. A program has the name of its package's last element.
type GoPrograms struct {
	Dir      string
	Packages string
}

// An Issue is what others have reported of a server.
type Issue struct {
	Ref  string // such as golang/go#75591
	Says string
}

// A Variant is one way to run a server.
type Variant struct {
	Name    string
	About   string
	Command []string
	// PreStop is the container's preStop hook as JSON; empty: none. StopSignal is that of
	// its image; empty: SIGTERM.
	PreStop, StopSignal string
	// Grace is the pods' terminationGracePeriodSeconds; 0: 30.
	Grace int
	// Ready overrides the server's path for readiness.
	Ready string
	// SlowPath takes {duration}, at most SlowSeconds. Empty: no slow clients.
	SlowPath    string
	SlowSeconds int
	// Good servers must pass every run.
	Good bool
	// Short variants run in the ordinary test.
	Short  bool
	Expect Expectation
}

// A Grade says who loses requests.
type Grade string

const (
	// Nobody loses a request.
	Nobody Grade = "nobody"
	// Blind clients send on a kept connection without a look at whether the server has
	// closed it. They alone lose requests, but for those that meet the close on its way.
	Blind Grade = "clients that don't look"
	// Anybody loses requests, whatever the client does.
	Anybody Grade = "any client"
)

// An Expectation is what is known about a variant: what the right verdict is.
type Expectation struct {
	Lost Grade
	// Ways are those in which requests may be lost by any client. If Lost is Anybody, some
	// must be lost as they come: Unreached or Unread.
	Ways []Way
	// Race is how many requests on kept connections may meet the close on its way, which
	// any client loses. It counts only if Lost is not Anybody.
	Race int
	// Fails are other checks that must fail, MayFail those that may.
	Fails, MayFail []string
	Why            string
}

// preStopSleep is the preStop hook that most manifests have.
const preStopSleep = `{"sleep": {"seconds": 5}}`

// Named returns the server of a name.
func Named(name string) (Server, bool) {
	for _, s := range Servers() {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// Servers returns all of them, in the order of the table.
func Servers() []Server { return append(goServers(), debianServers()...) }
