package transport_test

import (
	"strconv"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/transport"
)

// slowly is a limit under which no request becomes possible again during a test.
var slowly = transport.RateLimit{PerSecond: 1, Burst: 5}

// A client over its rate gets a 429 with the time to wait. The probes and the
// descriptions of the service are not counted.
func TestRateLimit(t *testing.T) {
	f := start(t, func(o *options) { o.RateLimit = transport.RateLimit{PerSecond: 1, Burst: 3} })
	begin, passed := time.Now(), 0
	var limited *response
	for limited == nil {
		if r := f.do("GET", "/api/v1/toolsets", ""); r.StatusCode == 200 {
			passed++
		} else {
			limited = r
		}
		for _, open := range []string{"/health", "/ready", "/version", "/openapi.json", "/readyz"} {
			if r := f.do("GET", open, ""); r.StatusCode != 200 {
				t.Errorf("%s: %s", open, r)
			}
		}
	}
	if most := 4 + int(time.Since(begin)/time.Second); passed < 3 || passed > most {
		t.Errorf("%d passed, want 3 to %d", passed, most)
	}
	wantProblem(t, limited, 429, "too-many-requests")
	wait, err := strconv.Atoi(limited.Header.Get("Retry-After"))
	if err != nil || wait != 1 {
		t.Errorf("Retry-After %q, want 1", limited.Header.Get("Retry-After"))
	}
	if r := f.do("GET", "/nothing", ""); r.StatusCode != 404 {
		t.Errorf("%s", r)
	}
	// A client that waits as long as it was told to gets an answer.
	time.Sleep(time.Duration(wait) * time.Second)
	if r := f.do("GET", "/api/v1/toolsets", ""); r.StatusCode != 200 {
		t.Errorf("after Retry-After: %s", r)
	}
}

// A user has one limit, whatever tokens and connections they use, and does not
// share it with others of the same address.
func TestRateLimitOfUsers(t *testing.T) {
	reg := newRegistry()
	reg.may["jane"], reg.may["john"] = []string{"everything"}, []string{"everything"}
	f := authorizing(t, reg, func(o *options) { o.RateLimit = transport.RateLimit{PerSecond: 1, Burst: 40} })
	list := func(token string) int {
		return f.do("GET", "/api/v1/toolsets", "", "Authorization", "Bearer "+token).StatusCode
	}
	for _, token := range []string{"jane.1", "jane.2", "john"} { // each token counts once for the address, until its user is known
		if status := list(token); status != 200 {
			t.Fatalf("%s: %d", token, status)
		}
	}
	begin, passed := time.Now(), 0
	for i := range 200 {
		if list([]string{"jane.1", "jane.2"}[i%2]) != 200 {
			break
		}
		passed++
	}
	if most := 41 + int(time.Since(begin)/time.Second); passed < 40 || passed > most {
		t.Errorf("%d of jane's requests passed, want 40 to %d", passed, most)
	}
	if status := list("john"); status != 200 {
		t.Errorf("john is limited by jane's requests: %d", status)
	}
	if status := f.do("GET", "/api/v1/toolsets", "").StatusCode; status != 401 {
		t.Errorf("a stranger of the same address: %d", status)
	}
	f.wantMetrics("toolset_rate_limited_total 1")
}

// A client that tries tokens is limited by its address before the authority is asked.
func TestRateLimitOfStrangers(t *testing.T) {
	reg := newRegistry()
	f := authorizing(t, reg, func(o *options) { o.RateLimit = slowly })
	begin, refused := time.Now(), 0
	for i := range 50 {
		switch status := f.do("GET", "/api/v1/toolsets", "", "Authorization", "Bearer guess"+strconv.Itoa(i)).StatusCode; status {
		case 401:
			refused++
		case 429:
		default:
			t.Fatalf("status %d", status)
		}
	}
	if most := 6 + int(time.Since(begin)/time.Second); refused < 5 || refused > most || reg.tokens != refused {
		t.Errorf("%d were looked at and the authority was asked about %d, want 5 to %d", refused, reg.tokens, most)
	}
}
