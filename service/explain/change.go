package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
)

// changes fills what would lead to another outcome: annotations first, then overrides.
func (d *Document) changes(x *detect.Explanation, f *catalogue.Facts) {
	for i := range x.Changes {
		c := &x.Changes[i]
		if !d.concerns(c.Purpose) {
			continue
		}
		change := Change{How: d.annotate(c), Effect: d.effect(c, f), Caution: c.Caution, Annotations: map[string]*string{}}
		for key, value := range c.Set {
			change.Annotations[key] = &value
		}
		for _, key := range c.Remove {
			change.Annotations[key] = nil
		}
		d.Change = append(d.Change, change)
	}
	d.overrideChanges(x, f)
}

// concerns reports whether a change for this purpose is of use.
func (d *Document) concerns(p detect.Purpose) bool {
	switch p {
	case detect.ToSplit:
		return d.AliasOf != nil
	case detect.ToPrefer:
		return d.AliasOf == nil && d.Primary != nil && !d.Primary.Is
	}
	return true
}

// annotate returns the command for a change.
func (d *Document) annotate(c *detect.Change) string {
	args := []string{"kubectl annotate service", "-n", d.Service.Namespace, d.Service.Name, "--overwrite"}
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		args = append(args, key+"="+c.Set[key])
	}
	for _, key := range c.Remove {
		args = append(args, key+"-")
	}
	return strings.Join(args, " ")
}

// effect says what follows from a change.
func (d *Document) effect(c *detect.Change, f *catalogue.Facts) string {
	var b *service.Backend
	if c.Result.Backend != nil {
		b = f.Apply(c.Result.Backend)
	}
	switch c.Purpose {
	case detect.ToSwitch:
		if d.AliasOf != nil {
			return "It is an alias no longer; the toolset " + d.AliasOf.Toolset + " stays."
		}
		return "It is not listed, whatever the rules find."
	case detect.ToSplit:
		return fmt.Sprintf("It is the toolset of its pods, and %s becomes its alias, unless annotations or overrides are about that one, too: then both are toolsets.", d.AliasOf.Toolset)
	case detect.ToPrefer:
		return fmt.Sprintf("It is the primary of the type %s, unless the overrides or the annotation of another Service say so of another.", b.Type)
	case detect.ToRepair:
		if d.Listed {
			return "The annotations with mistakes are gone, and it is listed as " + listed(b) + ". To keep one, give it a right value instead."
		}
		return "It is listed as " + listed(b) + ". To keep the annotations with mistakes, give them right values instead."
	}
	s := "It is listed as " + listed(b) + "."
	if b != c.Result.Backend {
		s = "It is listed, with what the overrides change, as " + listed(b) + "."
	}
	if !b.Enabled {
		s += " But the overrides switch it off, so that agents are not told of it."
	}
	return s
}

// listed describes the toolset of a back end.
func listed(b *service.Backend) string {
	return fmt.Sprintf("the toolset %s/%s, of the type %s, at %s", b.Key.Namespace, b.Name, b.Type, b.Endpoint+b.APIPath)
}

// overrideChanges adds what an administrator can do without touching the Service.
func (d *Document) overrideChanges(x *detect.Explanation, f *catalogue.Facts) {
	add := func(entry, effect, caution string) {
		d.Change = append(d.Change, Change{
			How:    "add to the list toolsets in the key overrides.yaml of the ConfigMap: - " + entry,
			Effect: effect, Caution: caution, Override: entry,
		})
	}
	who := fmt.Sprintf("name: %s, namespace: %s", d.Service.Name, d.Service.Namespace)
	switch {
	case d.AliasOf != nil || d.Listed && x.Result.Backend == nil && !f.Candidate:
	case d.Listed && *d.Enabled:
		if !d.Primary.Is {
			add("{"+who+", primary: true}", "It is the primary of the type "+d.Type+", whatever annotations say.", "")
		}
		add("{"+who+", disable: true}", "It stays in the list, but agents are not told of it.", "")
	case d.Listed:
		for _, m := range f.Overrides {
			if slices.Contains(m.Changes, "disable: true") {
				d.Change = append(d.Change, Change{How: "remove disable: true from " + m.At + " in the key overrides.yaml of the ConfigMap", Effect: "Agents are told of it."})
			}
		}
		if f.Identity.Verdict == service.Refuted && !f.Backend.Fixed.Enabled {
			add("{"+who+", disable: false}", "Agents are told of it, whatever it answers when it is asked who it is.", "Do so only if you know that it answers queries as "+d.Type+" does.")
		}
	default:
		i := slices.IndexFunc(x.Changes, func(c detect.Change) bool { return c.Purpose == detect.ToList })
		if i < 0 || x.Result.Backend != nil {
			return
		}
		c := &x.Changes[i]
		b, caution := c.Result.Backend, c.Caution
		if c.Set[detect.AnnotationType] == "" && b.Annotations[detect.AnnotationType] == "" && len(c.Set) > 0 {
			caution = "Write what it truly is in place of " + b.Type + ", if that is known."
		}
		add(fmt.Sprintf("{%s, add: true, type: %s, url: %q}", who, b.Type, b.Endpoint+b.APIPath),
			fmt.Sprintf("The toolset %s is added, of the type %s, at %s. For Services that you may not annotate.", d.Service, b.Type, b.Endpoint+b.APIPath), caution)
	}
}
