package configmap

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/cluster/events"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// The Events on the main ConfigMap.
var (
	toolsetsChanged  = events.About{Type: corev1.EventTypeNormal, Reason: "ToolsetsChanged", Action: "Write"}
	documentsSplit   = events.About{Type: corev1.EventTypeNormal, Reason: "DocumentsSplit", Action: "Write"}
	documentsJoined  = events.About{Type: corev1.EventTypeNormal, Reason: "DocumentsJoined", Action: "Write"}
	documentsLarge   = events.About{Type: corev1.EventTypeWarning, Reason: "DocumentsTooLarge", Action: "Keep"}
	drifted          = events.About{Type: corev1.EventTypeWarning, Reason: "DriftRepaired", Action: "Write"}
	overridesRefused = events.About{Type: corev1.EventTypeWarning, Reason: "OverridesRefused", Action: "Ignore"}
	overridesApplied = events.About{Type: corev1.EventTypeNormal, Reason: "OverridesApplied", Action: "Apply"}
	backendRefuted   = events.About{Type: corev1.EventTypeWarning, Reason: "BackendRefuted", Action: "Disable"}
	productChanged   = events.About{Type: corev1.EventTypeNormal, Reason: "ProductChanged", Action: "Identify"}
)

// TellRefuted sends an Event that a back end is not what its Service says, if the writer is
// active: every replica finds that out.
func (w *Writer) TellRefuted(note string) { w.tell(backendRefuted, note) }

// TellProduct sends an Event that another product answers than before, if the writer is
// active.
func (w *Writer) TellProduct(note string) { w.tell(productChanged, note) }

func (w *Writer) tell(about events.About, note string) {
	if w.active.Load() {
		w.recorder.Post(about, note)
	}
}

// newRecorder returns a recorder of Events about the ConfigMap of v.
func newRecorder(v *View, opts events.Options) *events.Recorder {
	return events.NewRecorder(v.client, func() corev1.ObjectReference {
		on := corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: v.ns, Name: v.name}
		if r := v.latest().seen; r != nil && r.exists {
			on.UID, on.ResourceVersion = types.UID(r.uid), r.rv
		}
		return on
	}, opts)
}

// tellOverrides sends an Event about overrides that are new.
func (w *Writer) tellOverrides() {
	if w.opts.Overrides == nil {
		return
	}
	if n := w.opts.Overrides.takeNews(); n != nil {
		w.recorder.Post(n.about, n.note)
	}
}

// recordEvents sends Events about a round, which has ended with err.
func (r *round) recordEvents(docs []service.Document, err error) {
	d := &r.diff
	switch {
	case errors.Is(err, errTooLarge):
		if !d.large {
			d.large = true
			r.recorder.Post(documentsLarge, "what was written before stays: "+err.Error())
		}
		return
	case err != nil:
		return
	}
	d.large = false
	if split := r.index != nil; split != d.split {
		d.split = split
		if split {
			r.recorder.Post(documentsSplit, fmt.Sprintf("the documents have %d bytes, too many for one ConfigMap; %s says where their %d parts are", sizeOf(docs), IndexKey, len(r.index)))
		} else {
			r.recorder.Post(documentsJoined, "the documents are whole again in this ConfigMap; "+IndexKey+" is gone")
		}
	}
	d.pending = d.pending || r.changes > 0
	if !d.pending {
		return
	}
	if due := d.last.Add(r.sayEvery); !d.last.IsZero() && time.Now().Before(due) {
		r.wake(due)
		return
	}
	d.pending = false
	for i := range docs {
		if docs[i].Key != kubernaut.Key {
			continue
		}
		now := entrySetOf(&docs[i], d.entries)
		changes := now.diff(d.entries)
		if d.blind {
			changes = "written anew"
		}
		d.entries, d.blind = now, false
		if changes != "" {
			d.last = time.Now()
			r.recorder.Post(toolsetsChanged, fmt.Sprintf("%s; toolsets: %d", changes, len(docs[i].Entries)))
		}
	}
}
