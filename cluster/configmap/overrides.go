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
)

// OverridesOptions tune Overrides.
type OverridesOptions struct {
	Logger *zap.Logger // default: none
	// OnChange is told of the overrides, nil for none, when they have changed; wrong is why
	// they are refused, all of them, and then they are nil. It is called from the goroutine
	// of Run.
	OnChange func(o *service.Overrides, wrong []service.Invalid)
}

// Overrides is the source of an administrator's corrections: the key service.OverridesKey of
// the ConfigMap that a View follows. Each replica has one, whether it writes or not.
//
// Overrides with a mistake count as none at all. To go on with the last good ones
// would be kinder to whoever mistyped, but these are in the memory of the replicas
// that have seen them, and not in that of one that starts: replicas would answer
// differently, and a restart would change what agents see. What is in force is what
// is written in the ConfigMap, and nothing else.
type Overrides struct {
	view *View
	opts OverridesOptions
	log  *zap.Logger
	seen chan struct{} // something new about the ConfigMap

	known chan struct{}

	// Of the goroutine of Run.
	read    bool // at least once
	present bool
	text    string
	refused bool

	// For the Writer, which tells of them in Events.
	mu     sync.Mutex
	news   *news
	untold chan struct{} // has a token when there are news
}

// news are what an Event is to say.
type news struct {
	about events.About
	note  string
}

// NewOverrides returns the overrides in the ConfigMap of view.
func NewOverrides(view *View, opts OverridesOptions) *Overrides {
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.OnChange == nil {
		opts.OnChange = func(*service.Overrides, []service.Invalid) {}
	}
	return &Overrides{
		view: view, opts: opts, log: opts.Logger.With(zap.String("configmap", view.ns+"/"+view.name)),
		seen: view.listen(), known: make(chan struct{}), untold: make(chan struct{}, 1),
	}
}

// Known returns a channel that is closed once the ConfigMap has been read, and OnChange has
// been told of the overrides in it; or once it could not be read.
func (o *Overrides) Known() <-chan struct{} { return o.known }

// Run hands the overrides on, each time that they have changed, until ctx ends. It is called
// once; the View must run too.
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

// take hands on the overrides that a revision holds, if they are others than before.
func (o *Overrides) take(r *revision) {
	text, present := r.data[service.OverridesKey]
	if o.read && present == o.present && text == o.text {
		return
	}
	first := !o.read
	o.read, o.present, o.text = true, present, text
	if first && !present {
		return
	}
	var overrides *service.Overrides
	var wrong []service.Invalid
	if present {
		if overrides, wrong = service.ParseOverrides([]byte(text)); len(wrong) > 0 {
			overrides = nil
		}
	}
	o.refused = len(wrong) > 0
	key := zap.String("key", service.OverridesKey)
	var n news
	switch {
	case o.refused:
		o.log.Error("The overrides have mistakes and are ignored, all of them", key, zap.String("mistakes", mistakes(wrong, cluster.MaxText)))
		n = news{overridesRefused, service.OverridesKey + " is ignored as a whole, as it has mistakes: " + mistakes(wrong, events.MaxNote)}
	case present:
		o.log.Info("The overrides are in force", key)
		n = news{overridesApplied, service.OverridesKey + " is valid and in force"}
	default:
		o.log.Info("There are no overrides any more", key)
		n = news{overridesApplied, service.OverridesKey + " is gone; what was discovered is in force"}
	}
	o.opts.OnChange(overrides, wrong)
	// Overrides that are in force from the start are no news.
	if !first || o.refused {
		o.mu.Lock()
		o.news = &n
		o.mu.Unlock()
		poke(o.untold)
	}
}

// takeNews returns what is to be told in an Event, once for each content; nil if there is
// nothing.
func (o *Overrides) takeNews() *news {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.news
	o.news = nil
	return n
}

// mistakes puts findings into one line of at most about so many bytes.
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
