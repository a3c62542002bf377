package transport_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// several returns n Services, enough for their list to be kept in pieces.
func several(n int) (all []*corev1.Service) {
	for i := range n {
		all = append(all, svc(fmt.Sprintf("team-%d", i%7), fmt.Sprintf("prometheus-%d", i), "prometheus"))
	}
	return all
}

type page struct {
	Toolsets, Services []struct{ Namespace, Name string }
	Total              int
	Continue           string
}

func TestPages(t *testing.T) {
	f := start(t, nil)
	f.catalogue.Replace(several(300))
	f.catalogue.Build()
	for _, query := range []string{"/api/v1/toolsets?", "/api/v1/services?", "/api/v1/toolsets?namespace=team-3&healthy=false&"} {
		var whole, pages page
		if err := json.Unmarshal(f.do("GET", query, "").body, &whole); err != nil {
			t.Fatal(err)
		}
		for next := query + "limit=40&continue="; ; {
			r := f.do("GET", next, "")
			var p page
			if err := json.Unmarshal(r.body, &p); err != nil || p.Total != whole.Total {
				t.Fatalf("%s: %v: %s", next, err, r)
			}
			tag := r.Header.Get("ETag")
			if n := f.do("GET", next, "", "If-None-Match", tag); n.StatusCode != 304 {
				t.Errorf("%s, not changed: %s", next, n)
			}
			if h := f.do("HEAD", next, ""); h.ContentLength != int64(len(r.body)) || h.Header.Get("ETag") != tag {
				t.Errorf("HEAD %s: %s", next, h)
			}
			if z := f.do("GET", next, "", "Accept-Encoding", "gzip"); !bytes.Equal(unzip(t, z.body), r.body) {
				t.Errorf("%s: the compressed page differs", next)
			}
			pages.Toolsets, pages.Services = append(pages.Toolsets, p.Toolsets...), append(pages.Services, p.Services...)
			if p.Continue == "" {
				break
			}
			if n := len(p.Toolsets) + len(p.Services); n != 40 {
				t.Errorf("%s: %d members", next, n)
			}
			next = query + "limit=40&continue=" + p.Continue
		}
		if fmt.Sprint(pages.Toolsets, pages.Services) != fmt.Sprint(whole.Toolsets, whole.Services) {
			t.Errorf("%s: the pages are not the list", query)
		}
	}
}

func TestWrongPages(t *testing.T) {
	f := start(t, nil)
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=-1": "limit", "limit=+1": "limit", "limit=1.5": "limit", "limit=10001": "limit", "limit=99999999999999999999": "limit",
		"limit=18446744073709551617": "limit", "limit=%EF%BC%91": "limit",
		"continue=x": "continue", "continue=YQ": "continue", "continue=YWEvYg%3D%3D": "continue", "continue=YWEvYg%0A": "continue",
		"limit=1&limit=1": "limit", "continue=&continue=": "continue", "continue=" + strings.Repeat("YWEv", 300): "continue",
	} {
		for _, path := range []string{"/api/v1/toolsets?", "/api/v1/services?"} {
			r := f.do("GET", path+query, "")
			if r.StatusCode != 400 || !strings.Contains(string(r.body), `"parameter":"`+field+`","field":"`+field+`"`) {
				t.Errorf("%s%s: %s", path, query, r)
			}
		}
	}
	// A place in the list is valid whether or not something is there.
	for _, query := range []string{"limit=10000", "limit=007", "limit=", "continue=YWEvYg"} {
		if r := f.do("GET", "/api/v1/toolsets?"+query, ""); r.StatusCode != 200 {
			t.Errorf("%s: %s", query, r)
		}
	}
}

// A list that is kept in pieces is answered like any other, and the connection stays
// open.
func TestLargeLists(t *testing.T) {
	f := start(t, nil)
	f.catalogue.Replace(several(3000))
	f.catalogue.Build()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, DisableCompression: true, TLSClientConfig: f.tls}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/api/v1/toolsets", "/api/v1/services", "/api/v1/toolset"} {
		var plain []byte
		var tag string
		for _, c := range []struct{ method, header, value string }{
			{"GET", "", ""}, {"HEAD", "", ""}, {"GET", "Accept-Encoding", "gzip"}, {"HEAD", "Accept-Encoding", "gzip"}, {"GET", "If-None-Match", "*"}, {"GET", "", ""},
		} {
			req, err := http.NewRequest(c.method, f.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.header != "" {
				req.Header.Set(c.header, c.value)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatalf("%s %s: %v", c.method, path, err)
			}
			res.Body.Close() //nolint:errcheck // it was read
			if plain == nil {
				plain, tag = body, res.Header.Get("ETag")
				if !json.Valid(plain) || len(plain) < 100_000 {
					t.Fatalf("%s: %d bytes, JSON: %v", path, len(plain), json.Valid(plain))
				}
				continue
			}
			packed := res.Header.Get("Content-Encoding") == "gzip"
			switch {
			case res.Header.Get("ETag") != tag || packed != (c.value == "gzip"):
				t.Errorf("%s %s %s: %v", c.method, path, c.value, res.Header)
			case c.header == "If-None-Match":
				if res.StatusCode != 304 || len(body) > 0 {
					t.Errorf("%s, not changed: %s", path, res.Status)
				}
			case c.method == "HEAD":
				if len(body) > 0 || !packed && res.ContentLength != int64(len(plain)) || packed && (res.ContentLength < 1000 || res.ContentLength > int64(len(plain))/5) {
					t.Errorf("HEAD %s: %d bytes, said to be %d", path, len(body), res.ContentLength)
				}
			case packed:
				if !bytes.Equal(unzip(t, body), plain) {
					t.Errorf("%s: the compressed list differs", path)
				}
			case !bytes.Equal(body, plain):
				t.Errorf("%s: two answers of one entity tag", path)
			}
		}
	}

	res, err := client.Get(f.url + "/api/v1/toolsets/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // the stream does not end by itself
	lines := bufio.NewReader(res.Body)
	var event string
	for !strings.HasPrefix(event, "data: ") {
		if event, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.TrimSpace(strings.TrimPrefix(event, "data: ")); got != string(f.do("GET", "/api/v1/toolsets", "").body) {
		t.Errorf("the stream begins with %.100s", got)
	}
}

func unzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
