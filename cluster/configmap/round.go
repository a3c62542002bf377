package configmap

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// onlyCreate is a resourceVersion that no object has (etcd's first write makes 2). An
// apply with it creates the ConfigMap or fails; it never changes one that somebody else
// has created meanwhile.
const onlyCreate = "1"

// A round brings the ConfigMaps up to date once.
type round struct {
	*Writer
	asked   bool // make a call even if nothing differs
	calls   int
	changes int
}

// write brings the ConfigMaps up to date. Unless asked is set, it makes no call if
// nothing differs. wrote reports whether it made one.
func (w *Writer) write(ctx context.Context, asked bool) (version string, wrote bool, err error) {
	r := &round{Writer: w, asked: asked}
	w.alarm = time.Time{}
	version, err = r.run(ctx)
	switch {
	case errors.Is(err, errPending) || ctx.Err() != nil:
	case err != nil:
		if r.calls > 0 || errors.Is(err, errTooLarge) {
			w.opts.OnWrite(outcome(err))
		}
	case r.changes > 0:
		w.opts.OnWrite(WriteSuccess)
	case r.calls > 0:
		w.opts.OnWrite(WriteUnchanged)
	}
	return version, r.calls > 0, err
}

func (r *round) run(ctx context.Context) (version string, err error) {
	if !r.active.Load() || !r.begin() {
		r.doubt()
		r.follow(ctx, 0)
		return r.leaders()
	}
	r.tellOverrides()
	docs := r.documents()
	if docs == nil {
		return "", errNoDocument
	}
	if err := r.look(ctx); err != nil {
		return "", err
	}
	main := r.revision(0)
	r.high = max(r.high, main.highest())
	r.follow(ctx, r.high)
	r.diff.begin(main)
	r.noteDrift()
	if r.fits(docs, main) {
		version, err = r.writeWhole(ctx, docs)
	} else {
		version, err = r.writeSplit(ctx, docs, main)
	}
	if !errors.Is(err, errConflict) {
		r.conflicts = 0
	}
	r.recordEvents(docs, err)
	return version, err
}

// begin resets what belongs to an earlier term, if this replica is in a new one. It
// reports whether this replica leads.
func (r *round) begin() bool {
	term := r.terms.Load()
	if term == r.term {
		return true
	}
	if r.opts.Fence != nil {
		token, ok := r.opts.Fence()
		if !ok {
			return false
		}
		r.token = token
	}
	r.term = term
	clear(r.written)
	clear(r.retired)
	r.high, r.index, r.attempt = 0, nil, nil
	r.diff.forget()
	return true
}

// permitted asks the fence, right before a call that writes, whether this replica may
// write.
func (r *round) permitted() bool {
	if !r.active.Load() || r.term != r.terms.Load() {
		return false
	}
	if r.opts.Fence == nil {
		return true
	}
	token, ok := r.opts.Fence()
	if token != r.token {
		r.term = -1 // so that the next round begins a term
	}
	return ok && token == r.token
}

// doubt makes the loop ask again soon whether this replica leads, if it should: the fence
// may say no while a renewal is late.
func (r *round) doubt() {
	if r.active.Load() {
		r.wake(time.Now().Add(time.Second))
	}
}

// leaders returns the version that the leader has written, in a replica that does not
// write.
func (w *Writer) leaders() (version string, err error) {
	switch v := w.revision(0); {
	case v == nil:
		return "", standby("the ConfigMap has not been read yet, and this replica does not write it")
	case !v.exists || !v.labeled || len(v.sums) == 0:
		return "", standby("the ConfigMap has not been written yet, and this replica does not write it; the leader does")
	default:
		return v.rv, nil
	}
}

// A standby is an error that says why a replica that does not write has no version to
// return. errors.Is(err, ErrStandby) holds for it.
type standby string

func (e standby) Error() string { return string(e) }
func (e standby) Unwrap() error { return ErrStandby }

// Public returns the text for clients; see reply.PublicCause.
func (e standby) Public() string { return string(e) }

// fits reports whether the documents fit into the main ConfigMap.
func (w *Writer) fits(docs []service.Document, main *revision) bool {
	most, foreign := w.limits.whole, 0
	if w.index != nil {
		most = w.limits.again
	}
	if main != nil {
		foreign = main.foreign
		if _, is := main.sums[IndexKey]; is {
			most = w.limits.again
		}
	}
	return sizeOf(docs) <= min(most, maxData-w.limits.spare-foreign)
}

// mainContent returns what the main ConfigMap should hold besides the documents.
func (r *round) mainContent(highest int) *content {
	c := &content{sums: map[string]sum{}, annotations: map[string]string{}, anyWriter: r.opts.Fence == nil}
	if r.opts.Fence != nil {
		c.annotations[WriterAnnotation] = r.token
	}
	if highest > 0 {
		c.annotations[PartsAnnotation] = strconv.Itoa(highest)
	}
	return c
}

// writeWhole writes the documents to the main ConfigMap.
func (r *round) writeWhole(ctx context.Context, docs []service.Document) (version string, err error) {
	highest := 0
	if r.anyPart() {
		highest = r.high
	}
	c := r.mainContent(highest)
	for i := range docs {
		c.sums[docs[i].Key] = sumOf(&docs[i])
	}
	c.data = func() map[string]string {
		data := map[string]string{}
		for i := range docs {
			data[docs[i].Key] = string(docs[i].Bytes())
		}
		return data
	}
	after, err := r.put(ctx, 0, c, r.asked)
	if err != nil {
		return "", err
	}
	r.index, r.attempt, r.high = nil, nil, highest
	r.collect(ctx)
	return after.rv, nil
}

// put applies c to the ConfigMap with this number if it differs, or if force is set. It
// returns the ConfigMap as it is afterwards.
func (r *round) put(ctx context.Context, number int, c *content, force bool) (*revision, error) {
	now := r.revision(number)
	if !force && now.holds(c) {
		r.written[number] = c
		return now, nil
	}
	data := c.data()
	after, err := r.apply(ctx, number, now, c.annotations, data)
	if err == nil {
		after, err = r.clear(ctx, number, after, c, data)
	}
	if err != nil {
		if !errors.Is(err, errConflict) {
			delete(r.written, number) // it may have been written all the same, which would look like drift
		}
		return nil, err
	}
	r.written[number] = c
	if now == nil || !now.exists || now.rv != after.rv {
		r.changes++
		size := 0
		for _, value := range data {
			size += len(value)
		}
		r.log.Info("Wrote the ConfigMap", zap.String("name", r.nameOf(number)), zap.Int("bytes", size), zap.String("resourceVersion", after.rv))
	}
	r.observe(number, after)
	return after, nil
}

// clear removes our keys and annotations that are not in c and have stayed because
// somebody else owns them too. Setting them to another value first makes us the only
// owner.
func (r *round) clear(ctx context.Context, number int, v *revision, c *content, data map[string]string) (*revision, error) {
	keys, annotations := v.stale(c)
	if len(keys)+len(annotations) == 0 {
		return v, nil
	}
	withData, withAnnotations := map[string]string{}, map[string]string{}
	for k, value := range data {
		withData[k] = value
	}
	for k, value := range c.annotations {
		withAnnotations[k] = value
	}
	for _, k := range keys {
		// An empty value, since a reader may see it.
		if withData[k] = ""; v.sums[k] == sha256.Sum256(nil) {
			withData[k] = " "
		}
	}
	for _, k := range annotations {
		withAnnotations[k] = "-"
	}
	v, err := r.apply(ctx, number, v, withAnnotations, withData)
	if err != nil {
		return nil, err
	}
	return r.apply(ctx, number, v, c.annotations, data)
}

// apply sets our keys, label and annotations of a ConfigMap, whose last known revision is
// now. Others of ours are removed.
func (r *round) apply(ctx context.Context, number int, now *revision, annotations, data map[string]string) (*revision, error) {
	if !r.permitted() {
		r.doubt()
		return nil, standby("this replica does not write any more; another one leads")
	}
	r.calls++
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := r.nameOf(number)
	cm := applycorev1.ConfigMap(name, r.ns)
	if len(annotations)+len(data) > 0 || number == 0 {
		cm.WithLabels(map[string]string{cluster.ManagedByLabel: cluster.FieldManager})
	}
	if len(annotations) > 0 {
		cm.WithAnnotations(annotations)
	}
	if len(data) > 0 {
		cm.WithData(data)
	}
	if r.opts.Fence != nil {
		precondition(cm, now)
	}
	// Force: the keys belong to us by contract, whoever has edited them.
	got, err := r.client.CoreV1().ConfigMaps(r.ns).Apply(ctx, cm, metav1.ApplyOptions{FieldManager: cluster.FieldManager, Force: true})
	if err != nil {
		return nil, r.refused(number, err)
	}
	return revisionOf(got, number > 0), nil
}

// precondition makes the API server refuse the write unless the ConfigMap is at the
// revision now. An earlier leader may have been stopped after it asked its fence; if it
// goes on now, it must not undo what a later one has written.
func precondition(cm *applycorev1.ConfigMapApplyConfiguration, now *revision) {
	if now == nil || !now.exists {
		cm.WithResourceVersion(onlyCreate)
		return
	}
	cm.WithUID(types.UID(now.uid)).WithResourceVersion(now.rv)
}

// refused explains a failed write, and counts conflicts.
func (r *round) refused(number int, err error) error {
	err = r.explain(number, err)
	if errors.Is(err, errConflict) {
		r.conflicts++
		r.contested = number
	}
	if right, ok := errors.AsType[*cluster.MissingRight](err); ok {
		r.opts.OnForbidden(right)
	}
	return err
}

// look finds out what is there, if that is not known yet.
func (r *round) look(ctx context.Context) error {
	if r.conflicts >= 2 {
		return r.read(ctx, r.contested) // the watch lags behind
	}
	err := r.known(0)
	if err == nil {
		return nil
	}
	if patience := r.begun.Add(firstPatience); errors.Is(err, errPending) && time.Now().Before(patience) {
		r.wake(patience)
		return err
	}
	err = r.read(ctx, 0)
	if _, lacks := errors.AsType[*cluster.MissingRight](err); !lacks && r.opts.Fence == nil {
		return nil // an unnecessary write is better than none
	}
	return err
}

// read reads a ConfigMap without the watch, which has not reported it in time or does not
// work. We have no right to get it. But an apply of nothing, as a dry run, returns what
// is there.
func (r *round) read(ctx context.Context, number int) error {
	r.calls++
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := r.client.CoreV1().ConfigMaps(r.ns).Apply(ctx, applycorev1.ConfigMap(r.nameOf(number), r.ns),
		metav1.ApplyOptions{FieldManager: cluster.FieldManager + "-reader", Force: true, DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return r.refused(number, err)
	}
	v := &revision{}
	if got.ResourceVersion != "" {
		v = revisionOf(got, number > 0)
	}
	r.observe(number, v)
	return nil
}

// noteDrift reports what somebody else has changed since the last write.
func (r *round) noteDrift() {
	for number := range 1 + PartNames {
		then, now := r.written[number], r.revision(number)
		if then == nil || now == nil || now.holds(then) {
			continue
		}
		delete(r.written, number) // so that it is reported once
		r.opts.OnDrift()
		by := "it was deleted"
		if now.exists {
			by = fmt.Sprintf("it was changed by %q", cluster.Clean(now.editor))
		}
		if r.writeConflict.drift(time.Now()) {
			r.log.Warn("The ConfigMap is not as we wrote it; repairing it", zap.String("name", r.nameOf(number)), zap.String("why", by))
			r.recorder.Post(drifted, r.nameOf(number)+" was not as it was written: "+by+"; it is repaired")
		}
	}
}

func (w *Writer) nameOf(number int) string { return nameOf(w.name, number) }
