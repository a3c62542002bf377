package service

// A documentCache keeps what was rendered for the generated documents.
type documentCache struct{}

// down reports whether a back end must be taken for dead when one of several is
// chosen: every check that is remembered has failed. One that comes and goes is
// not down, so that what is chosen does not come and go with it.
func (h *Health) down() bool {
	if h.Healthy || h.CheckedAt.IsZero() {
		return false
	}
	for _, c := range h.History {
		if c.Healthy {
			return false
		}
	}
	return true
}
