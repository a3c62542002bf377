package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/service"
)

// overridesState is what a ConfigMapWriter knows of the administrator's key.
type overridesState struct {
	mu      sync.Mutex // held while OnOverrides is called: in turn
	known   bool
	present bool
	text    string
	wrong   []service.Invalid // why they are refused
	changed bool              // for an event
}

// takeOverrides hands on the overrides that the main ConfigMap holds, if they are
// others than before.
//
// Overrides with a mistake count as none at all. To go on with the last good ones
// would be kinder to whoever mistyped, but these are in the memory of the replicas
// that have seen them, and not in that of one that starts: replicas would answer
// differently, and a restart would change what agents see. What is in force is what
// is written in the ConfigMap, and nothing else.
func (w *ConfigMapWriter) takeOverrides() {
	o := &w.overrides
	o.mu.Lock()
	defer o.mu.Unlock()
	v := w.view(0) // the latest, whoever comes first here
	text, present := v.data[service.OverridesKey]
	if o.known && present == o.present && text == o.text {
		return
	}
	first := !o.known
	o.known, o.present, o.text = true, present, text
	if first && !present {
		return
	}
	refused := len(o.wrong) > 0
	var overrides *service.Overrides
	o.wrong = nil
	if present {
		if overrides, o.wrong = service.ParseOverrides([]byte(text)); len(o.wrong) > 0 {
			overrides = nil
		}
	}
	switch {
	case len(o.wrong) > 0:
		w.log.Error("The overrides have mistakes and are ignored, all of them", zap.String("key", service.OverridesKey), zap.String("mistakes", mistakes(o.wrong, maxText)))
	case present:
		w.log.Info("The overrides are in force", zap.String("key", service.OverridesKey))
	default:
		w.log.Info("There are no overrides any more", zap.String("key", service.OverridesKey))
	}
	o.changed = len(o.wrong) > 0 || refused || !first
	w.opts.OnOverrides(overrides, slices.Clone(o.wrong))
}

// recordOverrides sends an event about overrides that are new, once for each
// content.
func (w *ConfigMapWriter) recordOverrides() {
	o := &w.overrides
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.changed {
		return
	}
	o.changed = false
	switch {
	case len(o.wrong) > 0:
		w.recorder.post(overridesRefused, fmt.Sprintf("%s is ignored as a whole, as it has mistakes: %s", service.OverridesKey, mistakes(o.wrong, maxNote)))
	case o.present:
		w.recorder.post(overridesApplied, service.OverridesKey+" is valid and in force")
	default:
		w.recorder.post(overridesApplied, service.OverridesKey+" is gone; what was discovered is in force")
	}
}

// mistakes puts findings into one line of at most about so many bytes.
func mistakes(all []service.Invalid, most int) string {
	var b strings.Builder
	for i, m := range all {
		text := clean(m.Field) + " " + clean(m.Message)
		if m.Field == "" {
			text = "the document " + clean(m.Message)
		}
		if i > 0 {
			if b.Len()+len(text) > most-150 {
				fmt.Fprintf(&b, "; and %d more", len(all)-i)
				break
			}
			b.WriteString("; ")
		}
		b.WriteString(text)
	}
	return b.String()
}
