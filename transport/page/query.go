package page

import (
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// A Query says which back ends the page shows. The zero Query means the first of all.
type Query struct {
	Type, Namespace string
	Name            string // a part of the toolset's name
	Verdict, Health string // one of the constants below; Verdict may be a service.Verdict
	Enabled         string // "true" or "false"
	Number          int    // of the page of the list; 0 and 1 are the first
	// Explain is the Service to explain; zero for none.
	Explain service.Key
}

// Values of Query.Verdict besides those of service.Verdict.
const (
	Unasked    = "unasked"   // nobody asks it, as with --identify=off
	Candidates = "candidate" // Services that are not listed before they have said what they are
)

// Values of Query.Health.
const (
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
	Unchecked = "unchecked" // not checked yet
)

var (
	verdicts = []string{string(service.Verified), string(service.Refuted), string(service.Unverified), Unasked, Candidates}
	healths  = []string{Healthy, Unhealthy, Unchecked}
	booleans = []string{"true", "false"}

	names = []string{"type", "namespace", "name", "verdict", "health", "enabled", "page", "explain"} // of parameters
)

// Bounds of a query.
const (
	maxValue = 253 // bytes, as long as the name of any object in Kubernetes
	maxPage  = 1_000_000
)

// Parse returns the query that parameters make, and what is wrong with them. A parameter
// that is empty, as forms send it, counts as not given. One that is unknown or given twice is
// a mistake: ignoring it would answer a question that was not asked.
func Parse(parameters iter.Seq2[[]byte, []byte]) (q Query, wrong []service.Invalid) {
	seen := map[string]bool{}
	for k, v := range parameters {
		name, value := string(k), strings.TrimSpace(string(v))
		problem, longest := "", maxValue
		if name == "explain" {
			longest = maxValue + len("/") + maxValue
		}
		switch {
		case seen[name]:
			problem = "is given more than once"
		case value == "" && slices.Contains(names, name):
		case len(value) > longest:
			problem = fmt.Sprintf("is longer than %d bytes", longest)
		default:
			problem = q.set(name, value)
		}
		if len(name) > 64 {
			name = name[:64]
		}
		if seen[name] = true; problem != "" {
			wrong = append(wrong, service.Invalid{Field: strings.ToValidUTF8(name, "\uFFFD"), Message: problem})
		}
		if len(wrong) == 20 {
			break
		}
	}
	return q, wrong
}

// set sets a parameter, and returns what is wrong with it.
func (q *Query) set(name, value string) string {
	one := func(to *string, of []string) string {
		for _, allowed := range of {
			if value == allowed {
				*to = value
				return ""
			}
		}
		return "must be one of " + strings.Join(of, ", ") + ", not " + strconv.Quote(format.Cut(value, 64))
	}
	switch name {
	case "type":
		q.Type = value
	case "namespace":
		q.Namespace = value
	case "name":
		q.Name = value
	case "verdict":
		return one(&q.Verdict, verdicts)
	case "health":
		return one(&q.Health, healths)
	case "enabled":
		return one(&q.Enabled, booleans)
	case "page":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxPage {
			return fmt.Sprintf("must be a number from 1 to %d, not %s", maxPage, strconv.Quote(format.Cut(value, 64)))
		}
		q.Number = n
	case "explain":
		key, ok := parseService(value)
		if !ok {
			return "must be NAMESPACE/NAME of a Service, such as monitoring/prometheus, not " + strconv.Quote(format.Cut(value, 64))
		}
		q.Explain = key
	default:
		return "is not a parameter of the page; it has: " + strings.Join(names, ", ")
	}
	return ""
}

// parseService parses NAMESPACE/NAME.
func parseService(s string) (service.Key, bool) {
	namespace, name, _ := strings.Cut(s, "/")
	return service.Key{Namespace: namespace, Name: name}, isObjectName(namespace) && isObjectName(name)
}

// isObjectName reports whether an object in Kubernetes may have this name, roughly.
func isObjectName(s string) bool {
	return s != "" && len(s) <= maxValue && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == "" && strings.Trim(s, "-.") == s
}

// admits reports whether q chooses an item of this verdict.
func (q *Query) admits(i snapshot.Item, verdict string) bool {
	b := i.Backend()
	return (q.Type == "" || q.Type == b.Type) &&
		(q.Namespace == "" || q.Namespace == b.Key.Namespace) &&
		(q.Name == "" || strings.Contains(i.Key().Name, q.Name)) &&
		(q.Verdict == "" || q.Verdict == verdict) &&
		(q.Health == "" || q.Health == healthOf(i)) &&
		(q.Enabled == "" || (q.Enabled == "true") == b.Enabled)
}

// admitsCandidate reports whether q chooses a candidate. Nobody checks the health of one.
func (q *Query) admitsCandidate(c *Candidate) bool {
	return (q.Type == "" || slices.Contains(c.Types, q.Type)) &&
		(q.Namespace == "" || q.Namespace == c.Key.Namespace) &&
		(q.Name == "" || strings.Contains(c.Key.Name, q.Name)) &&
		(q.Verdict == "" || q.Verdict == Candidates || q.Verdict == string(service.Refuted) && c.Refuted) &&
		(q.Health == "" || q.Health == Unchecked) &&
		q.Enabled == ""
}

func healthOf(i snapshot.Item) string {
	switch {
	case i.Healthy():
		return Healthy
	case i.Checked():
		return Unhealthy
	}
	return Unchecked
}

// filters reports whether q leaves out any back end.
func (q *Query) filters() bool {
	return q.Type+q.Namespace+q.Name+q.Verdict+q.Health+q.Enabled != ""
}

// A link leads to the page for another query. It is relative to the page itself, so it is
// right behind a proxy that serves the page below another path, as kubectl proxy does; and
// nothing from outside decides how it begins. The templates check once more that it runs
// nothing: see [Page.Write].
type link string

// link returns the link to the page for q.
func (q Query) link() link {
	v := url.Values{}
	for name, value := range map[string]string{"type": q.Type, "namespace": q.Namespace, "name": q.Name, "verdict": q.Verdict, "health": q.Health, "enabled": q.Enabled} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Number > 1 {
		v.Set("page", strconv.Itoa(q.Number))
	}
	if q.Explain != (service.Key{}) {
		v.Set("explain", q.Explain.String())
	}
	if len(v) == 0 {
		return "." // an empty reference would keep the query
	}
	return link("?" + v.Encode())
}

// at returns the link to another page of the same list.
func (q Query) at(number int) link {
	q.Number, q.Explain = number, service.Key{}
	return q.link()
}
