package snapshot

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// The pages of a list, one after another, are the list. Each has the total of all.
func TestPages(t *testing.T) {
	c := newState()
	random := rand.New(rand.NewPCG(1, 4))
	var all []*corev1.Service
	for i := range 500 {
		svc := servicetest.Service(fmt.Sprintf("ns%d", random.IntN(4)), fmt.Sprintf("s%03d", i), []string{"loki", "tempo"}[random.IntN(2)])
		if random.IntN(9) == 0 {
			svc.Annotations = map[string]string{"off": "1"}
		}
		all = append(all, svc)
	}
	c.Replace(all)
	c.Build()
	list := c.Toolsets()
	for _, f := range []Filter{{}, {Type: []byte("loki")}, {Namespace: []byte("ns2")}, {Enabled: Yes}, {Enabled: No}, {Type: []byte("tempo"), Namespace: []byte("ns0"), Healthy: No}, {Type: []byte("nothing")}} {
		whole := servicetest.Decode[servicetest.List](t, list.AppendJSON(nil, &f))
		for _, limit := range []int{1, 2, 31, 100, 499, 500, 501} {
			f, got, tags := f, servicetest.List{}, map[string]bool{}
			f.Limit = limit
			for pages := 0; ; pages++ {
				plain := list.AppendJSON(nil, &f)
				if !bytes.Equal(servicetest.Gunzip(t, list.AppendGzip(nil, &f)), plain) {
					t.Fatalf("%+v: the compressed page differs", f)
				}
				tag := string(list.AppendETag(nil, &f))
				if tags[tag] {
					t.Fatalf("%d: two pages share an entity tag", limit)
				}
				tags[tag] = true
				page := servicetest.Decode[servicetest.List](t, plain)
				if page.Total != whole.Total {
					t.Fatalf("limit %d: total %d on page %d, want %d", limit, page.Total, pages, whole.Total)
				}
				if n := len(page.Toolsets); n > limit || n < limit && page.Continue != "" {
					t.Fatalf("limit %d: %d on page %d of which more follow: %q", limit, n, pages, page.Continue)
				}
				got.Toolsets = append(got.Toolsets, page.Toolsets...)
				if page.Continue == "" {
					break
				}
				if !f.After.Parse([]byte(page.Continue)) {
					t.Fatalf("the token %q is not understood", page.Continue)
				}
			}
			if fmt.Sprint(got.Toolsets) != fmt.Sprint(whole.Toolsets) {
				t.Errorf("limit %d: the pages are not the list", limit)
			}
		}
	}
}

// What is always there is on exactly one page, whatever comes and goes.
func TestPagesOfAChangingList(t *testing.T) {
	c := newState()
	for i := range 200 {
		c.Upsert(servicetest.Service("ns", fmt.Sprintf("stays-%03d", i), "loki"))
	}
	c.Replace(nil)
	for i := range 200 {
		c.Upsert(servicetest.Service("ns", fmt.Sprintf("stays-%03d", i), "loki"))
	}
	c.Build()
	f, seen := Filter{Limit: 7}, map[string]int{}
	for page := 0; ; page++ {
		got := servicetest.Decode[servicetest.List](t, c.Toolsets().AppendJSON(nil, &f))
		for _, m := range got.Toolsets {
			seen[m.Name]++
		}
		if got.Continue == "" {
			break
		}
		if !f.After.Parse([]byte(got.Continue)) {
			t.Fatal("token not understood")
		}
		c.Upsert(servicetest.Service("ns", fmt.Sprintf("a-%d", page), "loki"))
		c.Upsert(servicetest.Service("ns", fmt.Sprintf("stays-%03d-more", page*9), "loki"))
		last := got.Toolsets[len(got.Toolsets)-1].Name
		if strings.HasSuffix(last, "-more") {
			c.Delete("ns", last) // a position may be that of a member that is gone
		}
		c.Build()
	}
	for i := range 200 {
		if n := seen[fmt.Sprintf("stays-%03d", i)]; n != 1 {
			t.Errorf("stays-%03d is on %d pages", i, n)
		}
	}
}

// A token is refused, or is the one that would be written for its position.
func FuzzPosition(f *testing.F) {
	f.Add(appendPosition(nil, service.Key{Namespace: "monitoring", Name: "prometheus"}))
	f.Add(appendPosition(nil, service.Key{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("x", 400)}))
	f.Add([]byte("YQ"))
	f.Add([]byte("YS9h"))
	f.Add([]byte("YWEv"))
	f.Add([]byte("YWEvYg=="))
	f.Add([]byte("YWEvYg\n"))
	f.Fuzz(func(t *testing.T, token []byte) {
		p := Position{size: 5}
		if !p.Parse(token) {
			if !p.IsZero() {
				t.Error("refused, and not zero")
			}
			return
		}
		k := service.Key{Namespace: string(p.text[1:p.slash]), Name: string(p.text[p.slash+1 : p.size])}
		if again := appendPosition(nil, k); !bytes.Equal(again, token) {
			t.Errorf("%q is read as %q, which is written as %q", token, k, again)
		}
		if k.Namespace == "" || k.Name == "" || p.before(k) || !p.before(service.Key{Namespace: k.Namespace, Name: k.Name + "!"}) || p.before(service.Key{Namespace: "", Name: "z"}) {
			t.Errorf("%q stands at a wrong place", k)
		}
	})
}
