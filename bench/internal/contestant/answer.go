package contestant

import "context"

// The workloads. Each is one kind of request.
const (
	ByName      = "by-name"      // one toolset, about 400 B
	NotModified = "not-modified" // the same, unchanged since the client asked: 304
	List4K      = "list-4k"      // the toolsets of a namespace, about 4 KB
	List400K    = "list-400k"    // all toolsets, about 400 KB
)

// Workloads returns the names of all.
func Workloads() []string { return []string{ByName, NotModified, List4K, List400K} }

// An Answer is a request and what a server answers it with.
type Answer struct {
	Path string `json:"path"` // with the query
	// Request is the whole request, from its first line to the empty one, to be
	// sent as it is. It asks for the connection to be kept.
	Request []byte `json:"request"`
	// Close is the same request, but asks for the connection to be closed.
	Close  []byte `json:"close"`
	Status int    `json:"status"`
	// Header has the fields in the order in which they came, with their names as
	// they were spelled.
	Header [][2]string `json:"header"`
	Body   []byte      `json:"body"`
	// Size is the bytes of the whole response, head and body.
	Size int `json:"size"`
}

// A Set is what one server answers: an Answer for each workload. Requests differ
// from server to server, as each has its own entity tags.
type Set map[string]Answer

// Fetch asks the server at addr, host and port, for each workload, twice, and
// returns what it answers. It fails if the two differ.
func Fetch(ctx context.Context, addr string) (Set, error) { return nil, nil }

// Verify asks a contestant for each workload and returns what it answers, which is
// what it is measured with. It fails if that is not, to a client, what ours answers:
// another status, another body, other names of header fields, or a response that
// is smaller or larger by more than a twentieth. The naive contestant's bodies must
// be equal as JSON, and in length.
func Verify(ctx context.Context, name, addr string, ours Set) (Set, error) { return nil, nil }
