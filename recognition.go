package main

import (
	"hash/maphash"
	"sync"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/detect"
)

// maxTold bounds what a recognition remembers: some megabytes. A cluster with
// more Services than this is told about them again from time to time.
const maxTold = 50_000

// A recognition finds out what Services are, and tells the log: annotations that
// are wrong, at warn level, and why each Service is listed or not, at debug
// level. It tells this once for each change: all Services are identified anew
// every few minutes, and a line that comes back all the time is read by nobody.
type recognition struct {
	rules   *detect.Rules
	options detect.Options
	log     *zap.Logger
	seed    maphash.Seed

	mu   sync.Mutex
	told map[service.Key]uint64 // a hash of what was last said of a Service
}

func newRecognition(rules *detect.Rules, o detect.Options, log *zap.Logger) *recognition {
	return &recognition{rules: rules, options: o, log: log, seed: maphash.MakeSeed(), told: map[service.Key]uint64{}}
}

// identify is a service.Identify.
func (r *recognition) identify(svc *corev1.Service) *service.Backend {
	res := r.rules.Identify(svc, r.options)
	if r.isNew(svc, &res) {
		r.tell(svc, &res)
	}
	return res.Backend
}

// isNew reports whether there is something to say of a Service that was not the
// last thing said of it.
func (r *recognition) isNew(svc *corev1.Service, res *detect.Result) bool {
	key := service.Key{Namespace: svc.Namespace, Name: svc.Name}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(res.Problems) == 0 && !r.log.Core().Enabled(zap.DebugLevel) {
		delete(r.told, key) // the same problem another time is news again
		return false
	}
	latest := r.hash(svc, res)
	last, known := r.told[key]
	if known && last == latest {
		return false
	}
	if !known && len(r.told) >= maxTold {
		clear(r.told)
	}
	r.told[key] = latest
	return true
}

// hash sums up what would be said of a Service; the UID tells it from an earlier
// one of its name.
func (r *recognition) hash(svc *corev1.Service, res *detect.Result) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	say := func(s string) {
		h.WriteString(s) //nolint:errcheck // never fails
		h.WriteByte(0)   //nolint:errcheck
	}
	say(string(svc.UID))
	say(res.Rejected)
	for _, p := range res.Problems {
		say(p.Field)
		say(p.Message)
	}
	if b := res.Backend; b != nil {
		say(b.Type)
		say(b.Endpoint)
		for _, e := range b.Evidence {
			say(e)
		}
	}
	return h.Sum64()
}

func (r *recognition) tell(svc *corev1.Service, res *detect.Result) {
	name := zap.String("service", svc.Namespace+"/"+svc.Name)
	for _, p := range res.Problems {
		r.log.Warn("An annotation is not usable", name, zap.String("annotation", p.Field), zap.String("problem", p.Message))
	}
	if b := res.Backend; b != nil {
		r.log.Debug("A Service is listed", name, zap.String("type", b.Type), zap.String("endpoint", b.Endpoint), zap.Strings("evidence", b.Evidence))
		return
	}
	reason := res.Rejected
	if reason == "" {
		reason = "nothing about it looks like a back end that a rule knows"
	}
	r.log.Debug("A Service is not listed", name, zap.String("reason", reason))
}
