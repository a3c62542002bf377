// Package tools has what agents can ask: four tools, as the Model Context Protocol calls
// such requests. They read a snapshot and change nothing, and they pass no queries on:
// agents have clients of their own for the back ends.
//
// A tool takes a JSON object of arguments and returns a JSON object; definitions.json has
// the schemas of both. What agents read costs them tokens, so answers are short, and every
// list has a bound.
package tools

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

//go:embed definitions.json
var definitions []byte

// Instructions tell an agent what the tools are for.
const Instructions = "Which observability back ends this Kubernetes cluster has, and how to query them. " +
	"Start with find_backend for a signal and the namespace that you investigate; then query the URL with your own client."

// Definitions returns the definitions of the tools, as a compact JSON array.
func Definitions() []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, definitions); err != nil { // a test sees that it is JSON
		panic(err)
	}
	return b.Bytes()
}

// Names are the names of the tools, in the order of their definitions.
var Names = []string{"list_backends", "get_backend", "find_backend", "explain_service"}

// A View is what the tools read.
type View struct {
	Snapshot *snapshot.Snapshot
	// Unread says to the agent why there is no Snapshot yet; empty if that is an error of
	// the transport.
	Unread string
	// StaleSince is when the cluster could last be read; zero if it can be read now.
	StaleSince time.Time
	// Unasked and Unchecked say that back ends are not asked who they are, and that their
	// health is not checked.
	Unasked, Unchecked bool
	// Explain explains a Service; nil if there is no cluster. A *Refusal is told to the
	// agent as it is, and no other error is.
	Explain func(context.Context, service.Key) (*explain.Document, error)
}

// A Refusal is an error that says to the agent what is wrong, and what it can do.
type Refusal struct{ Text string }

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Call calls the tool with this name, which must be one of Names. arguments is a valid JSON
// object. The result is a JSON object. An error that is no *Refusal is not for the agent.
func (v *View) Call(ctx context.Context, name string, arguments []byte) ([]byte, error) {
	var result any
	var err error
	switch name {
	case "list_backends":
		result, err = v.list(arguments)
	case "get_backend":
		result, err = v.get(arguments)
	case "find_backend":
		result, err = v.find(arguments)
	case "explain_service":
		result, err = v.explain(ctx, arguments)
	default:
		panic("tools: there is no tool " + name)
	}
	if err != nil {
		return nil, err
	}
	return marshal(result), nil
}

// warning is set in every answer while the cluster can't be read.
type warning struct {
	Warning string `json:"warning,omitempty"`
}

func (v *View) warning() warning {
	if v.StaleSince.IsZero() {
		return warning{}
	}
	return warning{"The cluster could not be read since " + snapshot.FormatTime(v.StaleSince) + "; this may be out of date."}
}

// marshal renders v compactly, without escaping <, > and &, so that URLs stay readable.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // the results can always be marshalled
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// keys returns at most most keys as text, and how many more there are.
func keys(of []service.Key, most int) (texts []string, omitted int) {
	for _, k := range of[:min(len(of), most)] {
		texts = append(texts, k.String())
	}
	return texts, max(0, len(of)-most)
}

// cut cuts a text that is longer than most bytes, between two characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
