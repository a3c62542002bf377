package manifests

import (
	"time"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/cluster"
)

// A problem is logged when it begins, when it changes, and when it is over. A program
// that writes a file again and again, right and wrong in turn, must not fill the log: for
// each file, and for the folder itself, a few lines are logged at once, and then the rest
// after some time, if it still holds.
const (
	maxSaid  = 5
	saidSpan = time.Minute
)

// saidOf is what was last logged about a file or the folder.
type saidOf struct {
	problems map[Problem]bool
	folder   string // what is wrong with the folder, instead of problems
	began    time.Time
	times    int
}

// mayNow reports whether another line may be logged now, and counts it.
func (s *saidOf) mayNow(now time.Time) bool {
	if now.Sub(s.began) >= saidSpan {
		s.began, s.times = now, 0
	}
	s.times++
	return s.times <= maxSaid
}

// forgettable reports whether s can be dropped.
func (s *saidOf) forgettable(now time.Time) bool {
	return len(s.problems) == 0 && now.Sub(s.began) >= saidSpan
}

// report sets the current problems, and logs what has changed.
func (m *Source) report(problems []Problem) {
	problems = problems[:min(len(problems), maxProblems)]
	byFile := map[string]map[Problem]bool{}
	for _, p := range problems {
		if byFile[p.File] == nil {
			byFile[p.File] = map[Problem]bool{}
		}
		byFile[p.File][p] = true
	}
	now := time.Now()
	told := map[string]bool{}
	for _, p := range problems { // in their order
		if told[p.File] {
			continue
		}
		told[p.File] = true
		s := m.said[p.File]
		if s == nil {
			s = &saidOf{}
			m.said[p.File] = s
		}
		current := byFile[p.File]
		if same(s.problems, current) || !s.mayNow(now) {
			continue
		}
		for _, p := range problems {
			if current[p] && !s.problems[p] {
				m.log.Warn("A manifest cannot be used",
					zap.String("file", p.File), zap.String("object", p.Object), zap.String("problem", p.Message))
			}
		}
		s.problems = current
	}
	for file, s := range m.said {
		if byFile[file] == nil && len(s.problems) > 0 && s.mayNow(now) {
			m.log.Info("All of a manifest can be used, or it is gone", zap.String("file", file))
			s.problems = nil
		}
		if s.forgettable(now) || len(s.problems) == 0 && len(m.said) > 4*maxProblems {
			delete(m.said, file)
		}
	}
	m.mu.Lock()
	m.problems = problems
	m.mu.Unlock()
}

func same(a, b map[Problem]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for p := range a {
		if !b[p] {
			return false
		}
	}
	return true
}

// setReachable notes whether the folder could be read as a whole.
func (m *Source) setReachable(err error) {
	now, text := time.Now(), ""
	if err != nil {
		text = cluster.Clean(err.Error())
	}
	m.mu.Lock()
	if err == nil {
		m.status = cluster.Availability{Reachable: true}
	} else {
		if m.status.Reachable {
			m.status.UnreachableSince = now
		}
		m.status.Reachable = false
		m.status.LastError = text
	}
	m.mu.Unlock()
	if m.saidFolder.folder == text || !m.saidFolder.mayNow(now) {
		return
	}
	m.saidFolder.folder = text
	if err != nil {
		m.log.Error("The manifests folder cannot be read; the last known state is kept", zap.Error(err))
	} else {
		m.log.Info("The manifests folder can be read again")
	}
}
