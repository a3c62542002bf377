package app

import (
	"context"
	"sync"
	"time"
)

// A gate is closed until somebody opens it, for ever.
type gate struct {
	once   sync.Once
	opened chan struct{} // closed when the gate is open
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

func (g *gate) isOpen() bool {
	select {
	case <-g.opened:
		return true
	default:
		return false
	}
}

const (
	// settlePatience is how long, at the start, the documents wait for the first answers.
	settlePatience = 30 * time.Second
	// settleLook is how often it is looked whether all health has been checked.
	settleLook = 50 * time.Millisecond
)

// settle lets documents be written once the cluster has been read, and the back ends have
// been asked who they are and checked for the first time. Before that the documents would
// lose what an earlier process has found out, such as prefixes, wanted credentials and
// which back end is down, and agents would load them twice.
func (a *App) settle(ctx context.Context) error {
	select {
	case <-a.source.FirstSync():
	case <-ctx.Done():
		return nil
	}
	a.awaitAnswers(ctx)
	if ctx.Err() != nil {
		return nil
	}
	a.catalogue.Build() // what was reported last may not be shown yet
	a.settled.open()
	a.writer.Notify()
	return nil
}

func (a *App) awaitAnswers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	if a.prober != nil {
		a.prober.Settled(ctx)
	}
	if a.checker == nil {
		return
	}
	look := time.NewTicker(settleLook)
	defer look.Stop()
	for a.catalogue.Unchecked() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}
