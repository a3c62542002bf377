package detect

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// A labelled Service is a real manifest with what it truly is.
type labelled struct {
	file, label, scheme, port, note string
	svc                             *corev1.Service
}

const none = "none"

// readLabelled reads a folder of manifests with its labels.tsv. It is lenient, as some real
// manifests have unknown fields.
func readLabelled(t testing.TB, dir string) []labelled {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "labels.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	var all []labelled
	for in := bufio.NewScanner(f); in.Scan(); {
		c := strings.Split(in.Text(), "\t")
		if c[0] == "file" || len(c) < 4 || len(c) > 5 && c[5] != "" {
			continue
		}
		l := labelled{file: c[0], label: c[1], scheme: c[2], port: c[3], note: strings.Join(c[4:], " "), svc: &corev1.Service{}}
		data, err := os.ReadFile(filepath.Join(dir, l.file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(data, l.svc); err != nil {
			t.Fatalf("%s: %v", l.file, err)
		}
		all = append(all, l)
	}
	return all
}

// A score counts the outcomes for one kind.
type score struct{ truth, found, right, wrongPort int }

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// measure identifies all Services. It returns a table of scores, the total, and what is
// wrong.
func measure(all []labelled, r *Rules) (table string, total score, wrong []string) {
	kinds := map[string]*score{}
	of := func(k string) *score {
		if kinds[k] == nil {
			kinds[k] = &score{}
		}
		return kinds[k]
	}
	lookalikes := 0
	for _, l := range all {
		res := r.Identify(l.svc, Options{})
		got, scheme, port := none, "", ""
		if b := res.Backend; b != nil {
			got = b.Type
			if u, err := url.Parse(b.Endpoint); err == nil {
				scheme, port = u.Scheme, u.Port()
			}
		}
		if l.label == none {
			lookalikes++
		} else {
			of(l.label).truth++
		}
		if got != none {
			of(got).found++
		}
		if got != l.label {
			wrong = append(wrong, fmt.Sprintf("%s (%s): is %s, found %s; %s [%s]", l.file, l.svc.Name, l.label, got, res.Rejected, l.note))
			continue
		}
		if got == none {
			continue
		}
		of(got).right++
		if scheme != l.scheme || port != l.port {
			of(got).wrongPort++
			wrong = append(wrong, fmt.Sprintf("%s (%s): is %s at %s %s, found %s %s", l.file, l.svc.Name, got, l.scheme, l.port, scheme, port))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s %6s %6s %6s %10s %10s %7s\n", "kind", "truth", "found", "right", "wrong port", "precision", "recall")
	line := func(name string, s score) {
		fmt.Fprintf(&b, "%-16s %6d %6d %6d %10d %10.3f %7.3f\n", name, s.truth, s.found, s.right, s.wrongPort, ratio(s.right, s.found), ratio(s.right, s.truth))
	}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		s := *kinds[k]
		line(k, s)
		total.truth += s.truth
		total.found += s.found
		total.right += s.right
		total.wrongPort += s.wrongPort
	}
	line("all", total)
	fmt.Fprintf(&b, "%d Services, %d of them not back ends\n", len(all), lookalikes)
	return b.String(), total, wrong
}

// sets are what recognition is measured with. The corpora were used to write the rules;
// they are from public repositories. The hold-out sets were labelled before the rules saw
// them: the first as charts render Services, the second as charts and operators make them,
// the third and fourth from public repositories and tutorials. MCP servers and what is
// around them have a set of their own. Services that the labels
// mark as doubtful don't count.
var sets = []struct {
	dir  string
	size int
}{{"corpus", 161}, {"corpus-2", 97}, {"holdout", 162}, {"holdout-2", 172}, {"holdout-3", 93}, {"holdout-4", 194}, {"mcp", 20}}

const floor = 0.98 // of precision and of recall

// The rules must recognise real Services and no others, with the right scheme and port.
func TestRecognition(t *testing.T) {
	var both []labelled
	check := func(name string, all []labelled) {
		t.Run(name, func(t *testing.T) {
			table, total, wrong := measure(all, Default())
			precision, recall := ratio(total.right, total.found), ratio(total.right, total.truth)
			t.Logf("%s\n%s%s", name, table, strings.Join(wrong, "\n"))
			t.Logf("%-20s %4d Services: precision %.3f, recall %.3f, %d with a wrong scheme or port", name, len(all), precision, recall, total.wrongPort)
			if precision < floor {
				t.Errorf("precision is %.3f, want at least %.2f", precision, floor)
			}
			if recall < floor {
				t.Errorf("recall is %.3f, want at least %.2f", recall, floor)
			}
			if total.wrongPort > 0 {
				t.Errorf("%d Services are recognised, but with a wrong scheme or port", total.wrongPort)
			}
		})
	}
	for _, set := range sets {
		all := readLabelled(t, filepath.Join("testdata", set.dir))
		if len(all) < set.size {
			t.Fatalf("read %d labelled Services of %s, want at least %d", len(all), set.dir, set.size)
		}
		check(set.dir, all)
		if strings.HasPrefix(set.dir, "corpus") {
			both = append(both, all...)
		}
	}
	check("corpus and corpus-2", both)
}

// From public bug reports of other projects: of all Services in a report, exactly the
// expected ones are back ends.
func TestReports(t *testing.T) {
	var expected map[string]struct {
		About    string
		Expected map[string][3]any // type, scheme, port
	}
	read := func(name string, into any) {
		data, err := os.ReadFile(filepath.Join("testdata", "reports", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	read("expected", &expected)
	if len(expected) != 5 {
		t.Fatalf("read %d reports", len(expected))
	}
	for name, report := range expected {
		var list corev1.ServiceList
		read(name, &list)
		got, want := map[string]string{}, map[string]string{}
		for i := range list.Items {
			svc := &list.Items[i]
			if b := Default().Identify(svc, Options{}).Backend; b != nil {
				u, err := url.Parse(b.Endpoint)
				if err != nil {
					t.Fatal(err)
				}
				got[svc.Name] = b.Type + " " + u.Scheme + " " + u.Port()
			}
		}
		for svc, w := range report.Expected {
			want[svc] = fmt.Sprint(w[0], " ", w[1], " ", w[2])
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s (%s):\ngot  %v\nwant %v", name, report.About, got, want)
		}
	}
}
