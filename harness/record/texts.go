package record

// maxTexts bounds how many texts are remembered. A run has some hundreds; paths that are
// different for each request can't be shared anyway.
const maxTexts = 4096

// Texts lets the requests of a run share their texts: each that comes from an agent has
// been decoded into copies of its own, which need more memory than all else of it. The zero
// value is ready for use, by one goroutine at a time.
type Texts struct{ known map[string]string }

// Share replaces texts of a request by equal ones of earlier requests.
func (t *Texts) Share(r *Request) {
	r.Class, r.Protocol, r.Outcome = Class(t.of(string(r.Class))), Protocol(t.of(string(r.Protocol))), Outcome(t.of(string(r.Outcome)))
	r.Method, r.Path, r.Pod = t.of(r.Method), t.of(r.Path), t.of(r.Pod)
}

func (t *Texts) of(text string) string {
	if known, ok := t.known[text]; ok {
		return known
	}
	if len(t.known) < maxTexts && text != "" {
		if t.known == nil {
			t.known = map[string]string{}
		}
		t.known[text] = text
	}
	return text
}
