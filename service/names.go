package service

import "strconv"

// assignNames gives every backend a toolset name that is unique in its
// namespace. all must be in the order of namespace and Service name; the result
// is in the same order.
//
// A Service that is called what it wants to be called keeps its name whatever
// others ask for. Of several that ask for one name by annotation the first gets
// it. Those that come too late are called NAME-SERVICE, so that one of them
// going away renames as few as possible.
func assignNames(all []*Backend) []string {
	taken := make(map[Key]bool, len(all))
	names := make([]string, len(all))
	for i, b := range all {
		if b.Name == b.Key.Name {
			names[i] = b.Name
			taken[b.Key] = true
		}
	}
	for i, b := range all {
		if names[i] != "" {
			continue
		}
		name := b.Name
		if taken[Key{b.Key.Namespace, name}] {
			name = b.Name + "-" + b.Key.Name
		}
		for n := 2; taken[Key{b.Key.Namespace, name}]; n++ {
			name = b.Name + "-" + b.Key.Name + "-" + strconv.Itoa(n)
		}
		names[i] = name
		taken[Key{b.Key.Namespace, name}] = true
	}
	return names
}
