package configmap

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/events"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// OverridesOptions configure Overrides.
type OverridesOptions struct {
	Logger *zap.Logger // default: none
	// OnChange is called when the overrides have changed; nil means that there are none.
	// If they have mistakes, all of them are refused: o is nil and wrong lists the
	// mistakes. It is called from the goroutine of Run.
	OnChange func(o *overrides.Set, wrong []service.Invalid)
}

// Overrides reads an administrator's overrides: the key overrides.Key of the
// ConfigMap that a View follows. Each replica has one, whether it writes or not.
//
// Overrides with a mistake count as none. To keep the last good ones would be kinder to
// somebody who has mistyped. But they are only in the memory of replicas that have seen
// them: a replica that starts would answer differently, and a restart would change what
// agents see. So what is in force is what is written in the ConfigMap, and nothing else.
type Overrides struct {
	view *View
	opts OverridesOptions
	log  *zap.Logger
	seen chan struct{} // has a token when the ConfigMap has changed

	known chan struct{}

	// These belong to the goroutine of Run.
	read    bool // at least once
	present bool
	text    string
	refused bool

	// These are for the Writer, which sends Events about the overrides.
	mu     sync.Mutex
	news   *news
	untold chan struct{} // has a token when there is news
}

// news is what an Event should say.
type news struct {
	about events.About
	note  string
}

// NewOverrides returns Overrides that read the ConfigMap of view.
func NewOverrides(view *View, opts OverridesOptions) *Overrides {
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.OnChange == nil {
		opts.OnChange = func(*overrides.Set, []service.Invalid) {}
	}
	return &Overrides{
		view: view, opts: opts, log: opts.Logger.With(zap.String("configmap", view.ns+"/"+view.name)),
		seen: view.listen(), known: make(chan struct{}), untold: make(chan struct{}, 1),
	}
}

// Known returns a channel that is closed when the ConfigMap has been read and OnChange
// has been called, or when the ConfigMap could not be read.
func (o *Overrides) Known() <-chan struct{} { return o.known }

// Run calls OnChange each time the overrides have changed, until ctx ends. It must be
// called once, and the View must run too.
func (o *Overrides) Run(ctx context.Context) error {
	var known sync.Once
	for {
		select {
		case <-o.seen:
		case <-ctx.Done():
			return nil
		}
		if now := o.view.latest(); now.seen != nil {
			o.take(now.seen)
		}
		known.Do(func() { close(o.known) })
	}
}

// take calls OnChange if the overrides in a revision differ from those before.
func (o *Overrides) take(r *revision) {
	text, present := r.data[overrides.Key]
	if o.read && present == o.present && text == o.text {
		return
	}
	first := !o.read
	o.read, o.present, o.text = true, present, text
	if first && !present {
		return
	}
	var now *overrides.Set
	var wrong []service.Invalid
	if present {
		if now, wrong = overrides.Parse([]byte(text)); len(wrong) > 0 {
			now = nil
		}
	}
	o.refused = len(wrong) > 0
	key := zap.String("key", overrides.Key)
	var n news
	switch {
	case o.refused:
		o.log.Error("The overrides have mistakes and are ignored, all of them", key, zap.String("mistakes", mistakes(wrong, cluster.MaxText)))
		n = news{overridesRefused, overrides.Key + " is ignored as a whole, as it has mistakes: " + mistakes(wrong, events.MaxNote)}
	case present:
		o.log.Info("The overrides are in force", key)
		n = news{overridesApplied, overrides.Key + " is valid and in force"}
	default:
		o.log.Info("There are no overrides any more", key)
		n = news{overridesApplied, overrides.Key + " is gone; what was discovered is in force"}
	}
	o.opts.OnChange(now, wrong)
	// Overrides that are in force from the start need no Event.
	if !first || o.refused {
		o.mu.Lock()
		o.news = &n
		o.mu.Unlock()
		poke(o.untold)
	}
}

// takeNews returns what an Event should say, once for each content; nil if there is
// nothing.
func (o *Overrides) takeNews() *news {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.news
	o.news = nil
	return n
}

// mistakes lists findings in one line of about most bytes.
func mistakes(all []service.Invalid, most int) string {
	var b strings.Builder
	for i, m := range all {
		text := cluster.Clean(m.Field) + " " + cluster.Clean(m.Message)
		if m.Field == "" {
			text = "the document " + cluster.Clean(m.Message)
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
