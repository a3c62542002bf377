package main

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/bench/internal/stats"
)

// A reference is a client that watches the Services and records when it receives each
// version. No client of the API server can be faster.
type reference struct {
	cancel context.CancelFunc
	ended  chan struct{}
	seen   map[string]time.Time // by resource version; only to be read after ended is closed
	once   sync.Once
}

func watchServices(ctx context.Context, client kubernetes.Interface) (*reference, error) {
	ctx, cancel := context.WithCancel(ctx)
	first, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		cancel()
		return nil, err
	}
	w, err := client.CoreV1().Services("").Watch(ctx, metav1.ListOptions{ResourceVersion: first.ResourceVersion, LabelSelector: fixtures.Label + "=member"})
	if err != nil {
		cancel()
		return nil, errors.Join(errors.New("watch the Services"), err)
	}
	r := &reference{cancel: cancel, ended: make(chan struct{}), seen: map[string]time.Time{}}
	go func() {
		defer close(r.ended)
		defer w.Stop()
		for {
			select {
			case ev, ok := <-w.ResultChan():
				if !ok {
					return
				}
				if svc, ok := ev.Object.(*corev1.Service); ok {
					r.seen[svc.ResourceVersion] = time.Now()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return r, nil
}

func (r *reference) stop() {
	r.once.Do(r.cancel)
	<-r.ended
}

// after summarises how long after the API server's answers the versions were received. It
// leaves out versions that were not received because the watch ended early.
func (r *reference) after(answers map[string]time.Time) stats.Summary {
	var all []time.Duration
	for version, at := range answers {
		if seen, ok := r.seen[version]; ok {
			all = append(all, max(0, seen.Sub(at)))
		}
	}
	return stats.Of(all)
}
