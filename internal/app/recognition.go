package app

import (
	"fmt"
	"hash/maphash"
	"os"
	"sync"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/detect"
)

// recognise returns a function that identifies Services by rules, and by the workloads of
// the cluster, which may be nil. which says whether it returns candidates as well. see is
// called with everything that was found out about a Service; it may be called concurrently.
func recognise(rules *detect.Rules, clusterDomain string, workloads service.Workloads, which config.Identify, see func(*corev1.Service, detect.Result)) service.Identify {
	return func(svc *corev1.Service) *service.Backend {
		result := rules.Identify(svc, detect.Options{ClusterDomain: clusterDomain, Workloads: workloads})
		see(svc, result)
		if result.Backend == nil && which == config.IdentifyCandidates {
			return result.Candidate
		}
		return result.Backend
	}
}

// loadRules returns the rules in a file together with the built-in ones, or these alone if
// its name is empty.
func loadRules(file string) (*detect.Rules, error) {
	if file == "" {
		return detect.Default(), nil
	}
	b, err := os.ReadFile(file) // #nosec G304 -- the caller names it
	if err != nil {
		return nil, fmt.Errorf("--rules: %w", err)
	}
	rules, err := detect.Load(b, file)
	if err != nil {
		return nil, fmt.Errorf("--rules: %w", err)
	}
	return rules, nil
}

// maxTold bounds what a recognitionLog remembers, to a few megabytes. In a cluster with
// more Services it repeats itself from time to time.
const maxTold = 50_000

// A recognitionLog logs wrong and misspelt annotations, at warn level, and why each Service is listed or
// not, at debug level. It logs each change once: all Services are identified again every
// few minutes, and nobody reads a line that is repeated all the time.
type recognitionLog struct {
	log  *zap.Logger
	seed maphash.Seed

	mu   sync.Mutex
	told map[service.Key]uint64 // a hash of what was last logged about a Service
}

func newRecognitionLog(log *zap.Logger) *recognitionLog {
	return &recognitionLog{log: log, seed: maphash.MakeSeed(), told: map[service.Key]uint64{}}
}

func (d *recognitionLog) see(svc *corev1.Service, res detect.Result) {
	if d.isNew(svc, &res) {
		d.tell(svc, &res)
	}
}

// isNew reports whether there is something to log about a Service that differs from what
// was last logged about it.
func (d *recognitionLog) isNew(svc *corev1.Service, res *detect.Result) bool {
	key := service.Key{Namespace: svc.Namespace, Name: svc.Name}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(res.Problems) == 0 && len(res.Unread) == 0 && !d.log.Core().Enabled(zap.DebugLevel) {
		delete(d.told, key) // the same problem is logged again if it comes back
		return false
	}
	latest := d.hash(svc, res)
	last, known := d.told[key]
	if known && last == latest {
		return false
	}
	if !known && len(d.told) >= maxTold {
		clear(d.told)
	}
	d.told[key] = latest
	return true
}

// hash returns a hash of what would be logged about a Service. It includes the UID, since
// an earlier Service may have had the same name.
func (d *recognitionLog) hash(svc *corev1.Service, res *detect.Result) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	say := func(s string) {
		h.WriteString(s) //nolint:errcheck // never fails
		h.WriteByte(0)   //nolint:errcheck
	}
	say(string(svc.UID))
	say(res.Rejected)
	for _, list := range [...][]detect.Problem{res.Problems, res.Unread} {
		for _, p := range list {
			say(p.Field)
			say(p.Message)
		}
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

func (d *recognitionLog) tell(svc *corev1.Service, res *detect.Result) {
	name := zap.String("service", svc.Namespace+"/"+svc.Name)
	for _, p := range res.Problems {
		d.log.Warn("An annotation is not usable", name, zap.String("annotation", p.Field), zap.String("problem", p.Message))
	}
	for _, p := range res.Unread {
		d.log.Warn("An annotation does nothing", name, zap.String("annotation", p.Field), zap.String("problem", p.Message))
	}
	if b := res.Backend; b != nil {
		d.log.Debug("A Service is listed", name, zap.String("type", b.Type), zap.String("endpoint", b.Endpoint), zap.Strings("evidence", b.Evidence))
		return
	}
	reason := res.Rejected
	if reason == "" {
		reason = "nothing about it looks like a back end that a rule knows"
	}
	d.log.Debug("A Service is not listed", name, zap.String("reason", reason))
}
