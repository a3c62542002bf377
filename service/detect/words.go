package detect

import "strings"

const (
	maxTokens = 64 // words in a name, or in all labels together; further ones are not read
	maxWords  = 6  // words in a term
)

// A meaning is what a term of the vocabulary, such as "kube-state-metrics", says about
// whatever has it in its name.
type meaning struct {
	text   string
	kind   int16   // the kind it is the name of; -1 for none
	weak   []int16 // kinds that it may be, if the port agrees
	role   bool    // it is not a back end, but something around one, such as an operator
	behind bool    // it certainly is that only after a name: "grafana-db"
	except []int16 // kinds with which it is that, though role is false
	allow  []int16 // kinds with which it is not that, though role is true
}

// excludes reports whether something called "k m" is not a back end of kind k.
func (m *meaning) excludes(k int16) bool {
	return m.role && !has(m.allow, k) || has(m.except, k)
}

// local reports whether m excludes k only in the value that names k.
func (m *meaning) local(k int16) bool { return m.behind && !has(m.except, k) }

func has(set []int16, k int16) bool {
	for _, s := range set {
		if s == k {
			return true
		}
	}
	return false
}

// A vocabulary finds terms of one or more words in a sequence of words.
type vocabulary struct{ root map[string]*branch }

type branch struct {
	next    map[string]*branch
	meaning *meaning
}

// term returns the meaning of term, which is added if it is new.
func (v *vocabulary) term(term string) *meaning {
	if v.root == nil {
		v.root = map[string]*branch{}
	}
	at, b := v.root, (*branch)(nil)
	for _, t := range termWords(term) {
		if b = at[t]; b == nil {
			b = &branch{next: map[string]*branch{}}
			at[t] = b
		}
		at = b.next
	}
	if b.meaning == nil {
		b.meaning = &meaning{text: term, kind: -1}
	}
	return b.meaning
}

// termWords returns the words of a term; anyWord is one.
func termWords(term string) (words []string) {
	var tokens [maxTokens]string
	for part := range strings.SplitSeq(term, "-") {
		if part == anyWord {
			words = append(words, part)
		}
		words = append(words, split(part, tokens[:0])...)
	}
	return words
}

// An event is a term found in a sequence of words.
type event struct {
	*meaning
	first, last int // index of its first and last word
}

// read appends the terms found in words to found. Where terms overlap, the longest counts.
func (v *vocabulary) read(words []string, found []event) []event {
	for i := 0; i < len(words); i++ {
		if m, n := longest(v.root, words[i:]); m != nil {
			found = append(found, event{m, i, i + n - 1})
			i += n - 1
		}
	}
	return found
}

// anyWord in a term stands for any word.
const anyWord = "*"

// longest returns the longest term at the beginning of words, and its number of words.
func longest(at map[string]*branch, words []string) (m *meaning, n int) {
	if len(words) == 0 {
		return nil, 0
	}
	for _, b := range [...]*branch{lookup(at, words[0]), at[anyWord]} {
		if b == nil {
			continue
		}
		if b.meaning != nil && n == 0 {
			m, n = b.meaning, 1
		}
		if m2, n2 := longest(b.next, words[1:]); m2 != nil && n2+1 > n {
			m, n = m2, n2+1
		}
	}
	return m, n
}

// lookup finds w or, if it is unknown, w without a suffix for a server: "zipkinserver",
// "influxsrv".
func lookup(at map[string]*branch, w string) *branch {
	if b := at[w]; b != nil {
		return b
	}
	for _, glued := range [...]string{"server", "service", "svc", "srv"} {
		if cut, ok := strings.CutSuffix(w, glued); ok {
			return at[cut]
		}
	}
	return nil
}

// split appends the words of s: runs of letters and digits, in lower case and without
// trailing digits. A capital after a small letter begins a new word.
// "Elasticsearch7-master" has the words elasticsearch and master. split stops when words
// has reached its capacity.
func split(s string, words []string) []string {
	start := -1
	for i := 0; i <= len(s); i++ {
		if i < len(s) && isAlnum(s[i]) {
			if start >= 0 && isUpper(s[i]) && !isUpper(s[i-1]) {
				words = addWord(words, s[start:i])
				start = i
			}
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			words = addWord(words, s[start:i])
			start = -1
		}
	}
	return words
}

func addWord(words []string, w string) []string {
	if len(words) == cap(words) {
		return words
	}
	end := len(w)
	for end > 0 && w[end-1] >= '0' && w[end-1] <= '9' {
		end--
	}
	if end > 0 {
		w = w[:end]
	}
	return append(words, strings.ToLower(w)) // allocates only if there are capitals
}

func isUpper(c byte) bool      { return c >= 'A' && c <= 'Z' }
func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
func isAlnum(c byte) bool      { return isLowerAlnum(c) || isUpper(c) }
