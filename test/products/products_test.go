package products

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func get(t *testing.T, client *http.Client, url string) (status int, location, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := *client
	c.CheckRedirect = noRedirects
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(b)
}

const (
	buildInfo = "/api/v1/status/buildinfo"
	isItself  = `{"status":"success","data":{"version":"`
)

func TestPrometheusBelowAPrefixOfItsOwn(t *testing.T) {
	p := Start(t, Prometheus, Options{Prefix: "/prometheus"})
	if !strings.HasSuffix(p.URL, "/prometheus") {
		t.Errorf("URL %s", p.URL)
	}
	if status, _, body := get(t, http.DefaultClient, p.URL+buildInfo); status != 200 || !strings.HasPrefix(body, isItself+p.Version+`"`) {
		t.Errorf("%d %s, want version %s", status, body, p.Version)
	}
	if status, _, _ := get(t, http.DefaultClient, strings.TrimSuffix(p.URL, "/prometheus")+buildInfo); status != 404 {
		t.Errorf("%d outside the prefix", status)
	}
}

func TestAProductEndsWhenItIsStopped(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	p, err := RabbitMQ.Run(ctx, Options{}) // the one with the most processes
	if errors.Is(err, errNotHere) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	groups := []int{p.main.cmd.Process.Pid, p.helpers[0].cmd.Process.Pid}
	p.Stop()
	for _, g := range groups {
		// What was killed may be a zombie until init has seen it.
		deadline := time.Now().Add(time.Minute)
		for syscall.Kill(-g, 0) == nil && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
		}
		if err := syscall.Kill(-g, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("a process of group %d is left: %v", g, err)
		}
	}
}

func TestAProductThatEndsEarlySaysWhy(t *testing.T) {
	_, err := (&Software{
		Name: "broken", Product: "Broken", ready: "/", find: Prometheus.find,
		setUp: func(r *run) error { r.args = []string{"--no-such-option"}; return nil },
	}).Run(t.Context(), Options{})
	if errors.Is(err, errNotHere) {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("got %v, want the end of its log", err)
	}
}

// Each front does what it says to a real Prometheus, and to who comes as agents do.
func TestFronts(t *testing.T) {
	p := Start(t, Prometheus, Options{})
	for name, c := range map[string]struct {
		front    *Front
		path     string
		status   int
		location string
		itself   bool // the product answers
	}{
		"plain":    {Plain(t, p.URL), buildInfo, 200, "", true},
		"basic":    {BasicAuth(t, p.URL), buildInfo, 401, "", false},
		"bearer":   {Bearer(t, p.URL), buildInfo, 401, "", false},
		"login":    {Login(t, p.URL), buildInfo, 302, "/oauth2/sign_in?rd=%2Fapi%2Fv1%2Fstatus%2Fbuildinfo", false},
		"tenant":   {Tenant(t, p.URL), buildInfo, 401, "", false},
		"below":    {Below(t, p.URL, "/prom"), "/prom" + buildInfo, 200, "", true},
		"above":    {Below(t, p.URL, "/prom"), "/", 302, "/prom/", false},
		"outside":  {Below(t, p.URL, "/prom"), buildInfo, 404, "", false},
		"slow":     {Slow(t, p.URL, time.Millisecond), buildInfo, 200, "", true},
		"redirect": {Redirecting(t, "http://127.0.0.2/x"), buildInfo, 302, "http://127.0.0.2/x", false},
	} {
		status, location, body := get(t, http.DefaultClient, c.front.URL+c.path)
		if status != c.status || location != c.location || strings.HasPrefix(body, isItself) != c.itself {
			t.Errorf("%s: got %d, Location %q: %s", name, status, location, body)
		}
		if got := c.front.Requests(); len(got) != 1 || got[0].Method != "GET" || got[0].Path != c.path {
			t.Errorf("%s: received %+v", name, got)
		}
	}

	secure := WithTLS(t, p.URL)
	if status, _, body := get(t, secure.TLS.Client(), secure.URL+buildInfo); status != 200 || !strings.HasPrefix(body, isItself) {
		t.Errorf("TLS: %d %s", status, body)
	}
	if _, err := http.Get(secure.URL + buildInfo); err == nil {
		t.Error("the certificate is trusted without its CA")
	}
	if status, _, body := get(t, http.DefaultClient, strings.Replace(secure.URL, "https", "http", 1)+buildInfo); status != 400 ||
		!strings.Contains(body, "HTTP request to an HTTPS server") {
		t.Errorf("HTTP to TLS: %d %s", status, body)
	}

	nginx := Nginx(t, p.URL, "/prom")
	if status, _, body := get(t, http.DefaultClient, nginx+"/prom"+buildInfo); status != 200 || !strings.HasPrefix(body, isItself) {
		t.Errorf("nginx: %d %s", status, body)
	}
	if _, _, body := get(t, http.DefaultClient, nginx+"/"); !strings.Contains(body, "Welcome to nginx!") {
		t.Errorf("nginx itself: %s", body)
	}
}

func TestFrontsThatNeverAnswerWell(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, Hanging(t).URL, nil)
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging: %v", err)
	}
	if resp, err := http.Get(Garbage(t).URL); err == nil {
		t.Errorf("garbage: %v", resp)
	}
	resp, err := http.Get(Endless(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it never ends
	if n, err := io.CopyN(io.Discard, resp.Body, 8<<20); err != nil {
		t.Errorf("endless: it ended after %d bytes: %v", n, err)
	}
}
