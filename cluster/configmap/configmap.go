// Package configmap keeps a ConfigMap equal to the generated documents, and reads the
// administrator's overrides from it. docs/configmap.md is the contract with readers.
//
// A [View] watches the ConfigMap, in every replica. Two types use it:
//
//   - [Overrides] reads the key overrides.yaml, and says when that has been read. It is a
//     source, like those of Services.
//   - A [Writer] writes the documents, in the replica that leads. By server-side apply it
//     owns its keys, label and annotations, and nothing else of the object. It repairs them
//     when somebody changes or deletes them, and reports all this in Events (events.go).
//
// The Writer works in rounds (round.go). A round compares what there is, as last seen
// (revision.go), with what there should be, and makes no call if nothing differs. It
// follows a change of the documents or of the ConfigMaps, or a request (queue.go);
// pace.go says how soon after the last one.
//
// Documents that are too large for one ConfigMap are split into parts (layout.go), each
// in a ConfigMap of its own. The main ConfigMap then holds an index of them (index.go).
// parts.go changes them in such an order that readers always find what the index says.
//
// Two replicas may both believe that they lead. So each write names the resourceVersion
// that it replaces, and the first write of a term marks the ConfigMap with the term's
// token: the API server refuses what an earlier leader sends late.
//
// For clusters without an API server, a [FileWriter] writes the same as YAML.
package configmap

import (
	"errors"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service/output/grafana"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kagent"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
	"kubernaut.io/dynamic-toolset/service/output/kubernautvalues"
	"kubernaut.io/dynamic-toolset/service/output/mcpjson"
)

// IndexKey is the key that the ConfigMap has instead of the documents if these are too
// large for it. Its value is an Index, which says where their parts are.
const IndexKey = "index.json"

// Annotations of the ConfigMaps that are written.
const (
	// WriterAnnotation is the token of the term in which a ConfigMap was last
	// written; only with leader election.
	WriterAnnotation = cluster.AnnotationPrefix + "toolset-writer"
	// PartsAnnotation, on the main ConfigMap, is the highest number of a part that may
	// exist. It is raised before that part is written, and lowered after the part is
	// deleted. So a later leader knows which parts to look for, without the right to list
	// all ConfigMaps.
	PartsAnnotation = cluster.AnnotationPrefix + "toolset-parts"
	// PartOfAnnotation, on a part, is the name of the main ConfigMap.
	PartOfAnnotation = cluster.AnnotationPrefix + "toolset-part-of"
)

// ownKeys are the keys that belong to this service by contract, in the main ConfigMap and
// its parts. If somebody else sets one, it is corrected. All other keys are left alone.
var ownKeys = []string{kubernaut.Key, holmesgpt.Key, grafana.Key, kubernautvalues.Key, mcpjson.Key, kagent.Key, IndexKey}

// ownAnnotations are the annotations that belong to this service in the same way.
var ownAnnotations = []string{WriterAnnotation, PartsAnnotation, PartOfAnnotation}

// Outcomes of a write, for OnWrite and as metric labels.
const (
	WriteSuccess   = "success"   // written, and something changed
	WriteUnchanged = "unchanged" // asked for, but there was nothing to change
	WriteForbidden = "forbidden" // a right is missing, or a policy forbids it
	WriteInvalid   = "invalid"   // too large, or the API server finds it invalid
	WriteMissing   = "namespace_missing"
	WriteConflict  = "conflict" // somebody else wrote at the same time; tried again at once
	WriteError     = "error"    // anything else; likely to be temporary
)

// Errors of WriteNow, besides those of the API server.
var (
	// errNoDocument: nothing has been generated yet.
	errNoDocument = errors.New("there is no document yet: the cluster has not been read")
	// ErrStandby: this replica does not write; the leader does.
	ErrStandby = errors.New("this replica does not write the ConfigMap; the leader does")
	// errTooLarge: the documents are too large even for MaxParts ConfigMaps.
	errTooLarge = errors.New("too large")
)
