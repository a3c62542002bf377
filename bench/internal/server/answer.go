package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The workloads. Each is one kind of request.
const (
	ByName      = "by-name"      // one toolset, about 400 B
	NotModified = "not-modified" // the same toolset with If-None-Match; the answer is 304
	List4K      = "list-4k"      // the toolsets of a namespace, about 4 KB
	List400K    = "list-400k"    // all toolsets, about 400 KB
)

// Workloads returns the names of all workloads.
func Workloads() []string { return []string{ByName, NotModified, List4K, List400K} }

// target returns the workload's request target, path and query.
func target(workload string) string {
	switch workload {
	case List4K:
		return listPath + "?namespace=" + askedNamespace
	case List400K:
		return listPath
	}
	return listPath + "/" + askedName
}

const listPath = "/api/v1/toolsets"

// An Answer is a request and a server's answer to it.
type Answer struct {
	Path string `json:"path"` // with the query
	// Request is the whole request, up to and including the empty line. It keeps the
	// connection open.
	Request []byte `json:"request"`
	// Close is the same request with Connection: close. The answer then also has a field
	// Connection, which Size does not include.
	Close  []byte `json:"close"`
	Status int    `json:"status"`
	// Header has the names and values of the fields as they were received, in their order.
	Header [][2]string `json:"header"`
	Body   []byte      `json:"body"`
	// Size is the size of the whole answer, head and body, in bytes.
	Size int `json:"size"`
}

// field returns the value of the first field with this name, whose case does not matter, or
// "".
func (a Answer) field(name string) string {
	for _, f := range a.Header {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// names returns the names of the fields in lower case, sorted.
func (a *Answer) names() []string {
	var names []string
	for _, f := range a.Header {
		names = append(names, strings.ToLower(f[0]))
	}
	slices.Sort(names)
	return names
}

// A Set has one server's Answer for each workload. The requests differ from server to server
// where they contain an entity tag.
type Set map[string]Answer

// host is the Host of all requests: the service's name in a cluster.
const host = "dynamic-toolset.kubernaut-system.svc:8080"

// request returns a request for path with the usual fields of a client and these.
func request(path string, fields [][2]string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: application/json\r\n", path, host)
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f[0], f[1])
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

const setFile = "answers.json"

// write writes the set into a folder, for another process.
func (s Set) write(dir string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, setFile), b, 0o600)
}

// readSet reads the set that write has written into the folder.
func readSet(dir string) (Set, error) {
	b, err := os.ReadFile(filepath.Join(dir, setFile)) // #nosec G304 -- of the process that started this one
	if err != nil {
		return nil, err
	}
	var s Set
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", setFile, err)
	}
	return s, s.complete()
}

// complete returns an error unless there is an answer for every workload.
func (s Set) complete() error {
	for _, w := range Workloads() {
		if _, ok := s[w]; !ok {
			return errors.New("there is no answer for the workload " + w + ", but for " + strings.Join(slices.Sorted(maps.Keys(s)), ", "))
		}
	}
	return nil
}
