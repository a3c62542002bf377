package snapshot

import (
	"strconv"

	"kubernaut.io/dynamic-toolset/service"
)

// A Change is a difference between two snapshots, as watchers receive it.
type Change struct {
	// Kind is "added", "updated" or "removed".
	Kind string
	// Data is {"change":KIND,"toolset":{...}} on one line.
	Data []byte
}

// changesKept is how many changes a watcher may have missed and still resume.
const changesKept = 1024

// tell appends to the changes of old those that lead to s. toolsets must be in the order of
// namespace and name; before has what the list had at their keys.
func (s *Snapshot) tell(old *Snapshot, toolsets []listChange, before map[service.Key]*part) {
	s.changes, s.sequence = old.changes, old.sequence
	var changes []Change
	for _, c := range toolsets {
		was, is := before[c.key], c.part
		switch {
		case is == nil:
			changes = append(changes, newChange("removed", was))
		case was == nil:
			changes = append(changes, newChange("added", is))
		case !is.of.sameToWatchers(was.of):
			changes = append(changes, newChange("updated", is))
		}
	}
	if len(changes) == 0 {
		return
	}
	s.sequence += uint64(len(changes))
	// The array is shared with older snapshots, which use less of it. When it is full, the
	// last changes move to a new one.
	if len(s.changes)+len(changes) > cap(s.changes) {
		kept := s.changes[max(0, min(len(s.changes), len(s.changes)+len(changes)-changesKept)):]
		s.changes = append(make([]Change, 0, max(2*changesKept, len(kept)+len(changes))), kept...)
	}
	s.changes = append(s.changes, changes...)
	s.changes = s.changes[max(0, len(s.changes)-changesKept):]
}

func newChange(kind string, p *part) Change {
	data := append([]byte(`{"change":"`+kind+`","toolset":`), p.json[1:]...)
	return Change{kind, append(data, '}')}
}

// EventID returns the identifier of the change with this number, and so of the state after
// it, for Last-Event-ID. It is valid in this process only.
func (s *Snapshot) EventID(sequence uint64) string {
	return s.instance + "-" + strconv.FormatUint(sequence, 10)
}

// Sequence returns the number of the last change.
func (s *Snapshot) Sequence() uint64 { return s.sequence }

// ParseEventID returns the number in an identifier from EventID; ok is false if it is not
// one of this process.
func (s *Snapshot) ParseEventID(id string) (sequence uint64, ok bool) {
	n := len(s.instance) + 1
	if len(id) <= n || id[:n] != s.instance+"-" {
		return 0, false
	}
	sequence, err := strconv.ParseUint(id[n:], 10, 64)
	return sequence, err == nil && sequence <= s.sequence
}

// ChangesSince returns the changes after sequence, oldest first, and the number of the
// first. ok is false if some of them are no longer kept; the watcher then needs the whole
// list.
func (s *Snapshot) ChangesSince(sequence uint64) (changes []Change, firstSequence uint64, ok bool) {
	missed := s.sequence - sequence
	if missed > uint64(len(s.changes)) {
		return nil, 0, false
	}
	return s.changes[uint64(len(s.changes))-missed:], sequence + 1, true
}
