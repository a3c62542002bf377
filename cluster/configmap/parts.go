package configmap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
	"kubernaut.io/dynamic-toolset/service"
)

// retireGrace is how long a part is kept after the index has ceased to refer to it, for
// readers that have read the index before.
const retireGrace = 5 * time.Second

// splitGap is the least time between two writes if the documents are split, since then
// each change writes a whole part. It is less than a second, within which drift is
// repaired.
const splitGap = 700 * time.Millisecond

// errPending means that the outcome of calls under way must be known first. It is not a
// failure.
var errPending = errors.New("not all parts are known yet")

// writeSplit writes the documents as parts, and an index of them to the main ConfigMap.
//
// A part that the current index refers to is never changed, except to repair it. New
// parts go to ConfigMaps that no reader looks at; then the index is changed to refer to
// these; and the parts that it referred to before are deleted later. So a reader that
// follows the index always finds what it says, even if this process ends between two
// writes.
//
// A part that the index did not refer to is always written before it does, even if it
// happens to have the right content. An earlier leader may be about to delete it; that
// fails once the part has another resourceVersion.
func (r *round) writeSplit(ctx context.Context, docs []service.Document, main *revision) (version string, err error) {
	parts, err := splitAll(docs, r.limits)
	if err != nil {
		return "", err
	}
	for number := 1; number <= r.high; number++ {
		if err := r.known(number); err != nil {
			return "", err
		}
	}
	var seen map[int]held
	if main != nil && main.exists {
		seen = parseIndex(r.name, main.data[IndexKey])
	}
	current := r.index
	if current == nil {
		current = seen
	}
	places, highest, ok := r.place(parts, current, seen)
	if !ok {
		return "", &cluster.Error{Kind: errInvalid, Cause: errInvalid, Text: fmt.Sprintf("too few of the ConfigMaps %s to %s are free for %d parts: others that are called so are in the way; "+
			"rename or delete them, or choose another --configmap-name", PartName(r.name, 1), PartName(r.name, PartNames), len(parts))}
	}
	if highest > r.high {
		return "", r.raise(ctx, main, highest)
	}
	index := map[int]held{}
	for _, p := range places {
		index[p.number] = held{p.doc.Key, p.sum}
		inForce := current[p.number] == index[p.number]
		c := r.partContent(p, inForce)
		if _, err := r.put(ctx, p.number, c, !inForce); err != nil {
			return "", err
		}
		c.anyWriter = true // from now on
	}
	text := indexOf(r.name, places)
	c := r.mainContent(r.high)
	whole := service.Document{Head: text}
	c.sums[IndexKey] = sumOf(&whole)
	c.data = func() map[string]string { return map[string]string{IndexKey: string(text)} }
	r.attempt = index
	after, err := r.put(ctx, 0, c, r.asked)
	if err != nil {
		return "", err
	}
	r.index, r.attempt = index, nil
	r.collect(ctx)
	return after.rv, nil
}

// known returns nil if it is known what the ConfigMap with this number holds.
func (r *round) known(number int) error {
	s := r.latest(number)
	if s.seen != nil {
		return nil
	}
	if s.err != nil {
		return s.err
	}
	return errPending
}

// place chooses a ConfigMap for each part: the one that holds it according to the current
// index, or else the free one with the lowest number that no reader may still look at.
// highest is the highest number in use afterwards.
func (r *round) place(parts []part, current, seen map[int]held) (places []placed, highest int, ok bool) {
	taken := map[int]bool{}
	for _, index := range []map[int]held{current, seen, r.attempt} {
		for number := range index {
			taken[number] = true
		}
	}
	at := map[held]int{}
	for number, h := range current {
		if old, is := at[h]; !is || number < old {
			at[h] = number
		}
	}
	highest = r.high
	for _, p := range parts {
		h := held{p.doc.Key, p.sum}
		number, is := at[h]
		delete(at, h) // two parts may be equal
		if !is {
			if number = r.free(taken); number == 0 {
				return nil, 0, false
			}
			taken[number] = true
		}
		highest = max(highest, number)
		places = append(places, placed{number, p})
	}
	return places, highest, true
}

// free returns a free number for a part; 0 if there is none.
func (r *round) free(taken map[int]bool) int {
	best, least := 0, 0
	for number := PartNames; number >= 1; number-- {
		v := r.revision(number)
		if taken[number] || v != nil && v.exists && !v.partOf(r.name) {
			continue
		}
		// Avoid numbers that readers may look at, and next those that would need one more
		// watch.
		cost := 1
		since, retired := r.retired[number]
		switch {
		case number > r.high:
			cost = 2
		case v == nil || !v.exists:
			cost = 0
		case !retired || time.Since(since) < r.grace:
			cost = 3
		}
		if best == 0 || cost <= least {
			best, least = number, cost
		}
	}
	return best
}

// raise notes in the main ConfigMap that there may be parts up to this number, before
// they are written. Then it must be known what is there already.
func (r *round) raise(ctx context.Context, main *revision, highest int) error {
	c := r.mainContent(highest)
	data := map[string]string{}
	if main != nil && main.exists {
		maps.Copy(c.sums, main.sums)
		for key := range main.sums {
			data[key] = main.data[key]
		}
	}
	c.data = func() map[string]string { return data }
	if _, err := r.put(ctx, 0, c, false); err != nil {
		return err
	}
	r.high = highest
	r.follow(ctx, highest)
	return errPending
}

func (r *round) partContent(p placed, anyWriter bool) *content {
	c := &content{sums: map[string]sum{p.doc.Key: p.sum}, annotations: map[string]string{PartOfAnnotation: r.name}, anyWriter: anyWriter || r.opts.Fence == nil,
		data: func() map[string]string { return map[string]string{p.doc.Key: string(p.doc.Bytes())} }}
	if r.opts.Fence != nil {
		c.annotations[WriterAnnotation] = r.token
	}
	return c
}

// anyPart reports whether there may still be a part.
func (r *round) anyPart() bool {
	for number := 1; number <= r.high; number++ {
		if v := r.revision(number); v == nil || v.partOf(r.name) {
			return true
		}
	}
	return false
}

// collect deletes the parts that the index has not referred to for some time. A failure
// is logged and tried again; it does not affect readers.
func (r *round) collect(ctx context.Context) {
	if r.high == 0 {
		return
	}
	for number := 1; number <= r.high; number++ {
		v := r.revision(number)
		if _, used := r.index[number]; used || !v.partOf(r.name) {
			delete(r.retired, number)
			continue
		}
		delete(r.written, number)
		since, is := r.retired[number]
		if !is {
			since = time.Now()
			r.retired[number] = since
		}
		if due := since.Add(r.grace); time.Now().Before(due) {
			r.wake(due)
			continue
		}
		if err := r.remove(ctx, number, v); err != nil {
			if errors.Is(err, ErrStandby) || ctx.Err() != nil {
				return
			}
			r.log.Warn("A part that is not used any more could not be deleted; it is tried again", zap.String("name", r.nameOf(number)), zap.Error(err))
			r.retired[number] = time.Now().Add(retry.Denied - r.grace)
			r.wake(time.Now().Add(retry.Denied))
		}
	}
	if r.index == nil && !r.anyPart() {
		r.Notify() // the main ConfigMap need no longer say that there may be parts
	}
}

// remove deletes a part, or only our keys in it if somebody else keeps something there.
func (r *round) remove(ctx context.Context, number int, v *revision) error {
	if !r.permitted() {
		return standby("this replica does not write any more; another one leads")
	}
	if v.foreign > 0 {
		after, err := r.apply(ctx, number, v, nil, nil)
		if err == nil {
			r.observe(number, after)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	uid := types.UID(v.uid)
	err := r.client.CoreV1().ConfigMaps(r.ns).Delete(ctx, r.nameOf(number), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &v.rv}})
	switch {
	case apierrors.IsConflict(err):
		return nil // somebody has changed it; the watch will report that
	case err != nil && !apierrors.IsNotFound(err):
		err = r.view.call("delete", number).Explain(err)
		if right, ok := errors.AsType[*cluster.MissingRight](err); ok {
			r.opts.OnForbidden(right)
		}
		return err
	}
	r.log.Info("Deleted a part that is not used any more", zap.String("name", r.nameOf(number)))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts[number].seen == v {
		r.parts[number].seen = &revision{rv: v.rv}
	}
	return nil
}

// A partFollower follows one part.
type partFollower struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

// follow starts to follow the parts 1 to n, and stops following others.
func (w *Writer) follow(ctx context.Context, n int) {
	for number := 1; number <= n; number++ {
		if w.followers[number] == nil {
			w.followers[number] = w.followPart(ctx, number)
		}
	}
	var ending []int
	for number, f := range w.followers {
		if number > n {
			f.cancel()
			ending = append(ending, number)
		}
	}
	for _, number := range ending {
		<-w.followers[number].ended
		delete(w.followers, number)
		w.mu.Lock()
		w.parts[number] = slot{}
		w.mu.Unlock()
	}
}

func (w *Writer) followPart(ctx context.Context, number int) *partFollower {
	ctx, cancel := context.WithCancel(ctx)
	f := &partFollower{cancel, make(chan struct{})}
	follower := follower(w.view, number, w.log.With(zap.String("part", w.nameOf(number))),
		func(r *revision) { w.observe(number, r) },
		func(err error) { w.note(number, func(s *slot) bool { s.err = err; return true }) })
	go func() {
		defer close(f.ended)
		follower.Run(ctx)
	}()
	return f
}
