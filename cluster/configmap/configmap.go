// Package configmap keeps a ConfigMap equal to the generated documents, and reads the
// administrator's overrides from it. docs/configmap.md is the contract with readers.
//
// A [View] follows the ConfigMap by one watch, in every replica, for the two that read it:
//
//   - [Overrides] hands on what the key overrides.yaml says, and says when that is known. It is
//     a source, like those of Services.
//   - A [Writer] writes the documents, in the replica that leads. It owns its keys, label and
//     annotations by server-side apply and nothing else of the object; it repairs its share when
//     somebody changes or deletes it, and tells of all that in Events (events.go).
//
// The Writer works in rounds (round.go), each of which brings the ConfigMaps up to date: it
// compares what there is, as last seen (revision.go), with what there should be, and makes no
// call where nothing differs. A round comes after a change of the documents, of the ConfigMaps,
// or on request (queue.go); how soon after the last one, pace.go says.
//
// Documents that are too large for one ConfigMap are cut into parts (layout.go), each in a
// ConfigMap of its own, and the main one holds an index of them (index.go). How that is changed
// without a moment at which readers find something else than the index says: parts.go.
//
// Two replicas may both think that they lead. So each write names the resourceVersion that it
// replaces, and the first one of a term marks the ConfigMap with the term's token: what an
// earlier leader sends late is refused by the API server.
//
// For clusters without an API server, a [FileWriter] writes the same as YAML.
package configmap

import (
	"errors"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// IndexKey is the ConfigMap's key that stands for the documents where they are
// too large for one ConfigMap: an Index, which says where their parts are.
const IndexKey = "index.json"

// Annotations of the ConfigMaps that are written.
const (
	// WriterAnnotation is the token of the term in which a ConfigMap was last
	// written; only with leader election.
	WriterAnnotation = cluster.AnnotationPrefix + "toolset-writer"
	// PartsAnnotation, on the main ConfigMap, is the highest number of a part that
	// may exist. It is written before that part is, and withdrawn after the part is
	// gone, so that a later leader knows what to look after without a right to list
	// all ConfigMaps.
	PartsAnnotation = cluster.AnnotationPrefix + "toolset-parts"
	// PartOfAnnotation, on a part, is the name of the main ConfigMap.
	PartOfAnnotation = cluster.AnnotationPrefix + "toolset-part-of"
)

// ownKeys are the keys that are ours, by contract, in the main ConfigMap and its
// parts: whoever else sets one is corrected. All others are not.
var ownKeys = []string{service.KubernautKey, service.HolmesGPTKey, IndexKey}

// ownAnnotations likewise.
var ownAnnotations = []string{WriterAnnotation, PartsAnnotation, PartOfAnnotation}

// Outcomes of a write, for OnWrite and as metric labels.
const (
	WriteSuccess   = "success"   // written, and it made a difference
	WriteUnchanged = "unchanged" // asked for, and there was nothing to change
	WriteForbidden = "forbidden" // a right is missing, or a policy stands against it
	WriteInvalid   = "invalid"   // too large, or refused as it is
	WriteMissing   = "namespace_missing"
	WriteConflict  = "conflict" // somebody else wrote at the same time; it is tried again at once
	WriteError     = "error"    // anything else; likely to pass
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
