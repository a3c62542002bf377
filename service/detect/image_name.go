package detect

import (
	"maps"
	"slices"
	"strings"
)

// maxImageBytes bounds the names of images that are read. The longest valid ones have 255
// bytes of name, 128 of tag, and a digest.
const maxImageBytes = 512

// maxImageWords bounds the words of the last component. The longest names of images have
// eight, the mirrored ones some more.
const maxImageWords = 16

// An imageTable says what images run, by their names.
type imageTable struct {
	// known has what images run, by the last component or the last two components of their
	// names, in the form that words gives them.
	known map[string]runs
	// prefixes and suffixes are words that mirrors and builds add to the last component.
	prefixes, suffixes map[string]bool
}

// runs says what an image runs.
type runs struct {
	use   imageUse
	kinds []int16 // in the order of the rules; only for imageOfKind
}

// An imageUse is what is known of an image.
type imageUse uint8

const (
	imageUnknown imageUse = iota
	imageOfKind           // it runs a kind
	imageHelper           // it helps whatever runs beside it: reloads files, authenticates
	imageProxy            // a web server or proxy: what it answers depends on its configuration
	imageOther            // it runs something that is no back end
)

// clone returns a copy to which images can be added.
func (t *imageTable) clone() imageTable {
	return imageTable{maps.Clone(t.known), t.prefixes, t.suffixes}
}

// add adds an image of a kind. Several kinds may have one image.
func (t *imageTable) add(name string, kind int16) {
	key := imageKey(name)
	t.known[key] = runs{imageOfKind, append(slices.Clone(t.known[key].kinds), kind)}
}

// look returns what the image with this name runs.
//
// The name is that of a container in a manifest: [REGISTRY/]PATH[:TAG][@DIGEST]
// (distribution/reference). Registry, tag and digest are not looked at: mirrors keep only
// the end of the path, which the name of the product is in.
func (t *imageTable) look(image string, v *vocabulary) runs {
	var buffer [maxImageWords + 1]string
	org, words := imageWords(image, buffer[:0])
	if len(words) == 0 || len(words) > maxImageWords {
		return runs{}
	}
	end := len(words)
	for {
		// Without the added words in front, as few of them as possible.
		for first := 0; first < end; first++ {
			if r, ok := t.find(org, words[first:end]); ok {
				return r
			}
			if !t.prefixes[words[first]] && !t.prefixes[words[0]] {
				break
			}
		}
		if end--; end == 0 || !t.suffixes[words[end]] && !isNumber(words[end]) {
			break
		}
	}
	// Roles are found in names that nobody has listed, such as "mysqld-exporter".
	var found [12]event
	for _, e := range v.read(words, found[:0]) {
		if e.role && !e.behind {
			return runs{use: imageOther}
		}
	}
	return runs{}
}

// find looks up the words of the last component, with the component before and without.
func (t *imageTable) find(org string, words []string) (runs, bool) {
	name := strings.Join(words, "-")
	if r, ok := t.known[org+"/"+name]; ok {
		return r, true
	}
	r, ok := t.known[name]
	return r, ok
}

// imageWords appends the words of the last component of an image's name to words, and
// returns the component before it; empty if there is none.
func imageWords(image string, words []string) (org string, out []string) {
	if len(image) > maxImageBytes {
		return "", words
	}
	image, _, _ = strings.Cut(image, "@")
	slash := strings.LastIndexByte(image, '/')
	last := image[slash+1:]
	last, _, _ = strings.Cut(last, ":") // a colon before the slash is that of the registry's port
	if slash > 0 {
		org = image[:slash]
		org = org[strings.LastIndexByte(org, '/')+1:]
	}
	return org, split(last, words)
}

// imageNameProblem returns why s can't be the end of an image's name in the rules; empty if
// it can.
func imageNameProblem(s string) string {
	const want = "must be the last component of an image's name, or the last two, in lower case, such as prometheus or jaegertracing/all-in-one, without tag"
	org, name, two := strings.Cut(s, "/")
	if !two {
		org, name = "x", s
	}
	for _, part := range [...]string{org, name} {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return want
		}
	}
	if len(split(name, make([]string, 0, maxTokens))) == 0 {
		return want
	}
	return ""
}

// imageKey returns the form of a name from the rules in which it is looked up.
func imageKey(s string) string {
	org, name, two := strings.Cut(s, "/")
	if !two {
		org, name = "", s
	}
	key := strings.Join(split(name, make([]string, 0, maxTokens)), "-")
	if two {
		key = org + "/" + key
	}
	return key
}
