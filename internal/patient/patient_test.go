package patient

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestOverloadedServersAreAskedAgain(t *testing.T) {
	for _, tc := range []struct {
		answers string // statuses of successive requests; the last one is repeated
		want    int
		asked   int
	}{
		{"200", 200, 1},
		{"429 503 504 500 201", 201, 5},
		{"403", 403, 1},
		{"503 409", 409, 2},
		{"503", 503, tries},
	} {
		answers, asked := strings.Fields(tc.answers), 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); string(body) != "the body" {
				t.Errorf("%s: request %d has the body %q", tc.answers, asked+1, body)
			}
			status := 0
			fmt.Sscan(answers[min(asked, len(answers)-1)], &status) //nolint:errcheck // a constant
			asked++
			w.WriteHeader(status)
		}))
		client := &http.Client{Transport: again{http.DefaultTransport, time.Millisecond}}
		resp, err := client.Post(srv.URL, "text/plain", strings.NewReader("the body"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close() //nolint:errcheck // only the status counts
		if resp.StatusCode != tc.want || asked != tc.asked {
			t.Errorf("%s: %d after %d requests, want %d after %d", tc.answers, resp.StatusCode, asked, tc.want, tc.asked)
		}
		srv.Close()
	}
}
