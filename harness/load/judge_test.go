package load

import (
	"net/http"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func response(status int, kind string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}}
}

func TestJudgeProblem(t *testing.T) {
	m := &message{Target: &Target{Method: "GET", ExpectStatus: 404, ExpectProblem: true, ExpectJSON: true}}
	body := []byte(`{"type":"a","title":"t","status":404,"detail":"d","instance":"/x"}`)
	if o, detail := m.judge(response(404, "application/problem+json"), body); o != record.OK || detail != "" {
		t.Error(o, detail)
	}
	if o, detail := m.judge(response(404, "application/problem+json"), []byte("{}")); o != record.NotProblem || !strings.Contains(detail, "no type") {
		t.Error(o, detail)
	}
}

// The detail of an unexpected error has the beginning of the body, and no more.
func TestUnexpectedStatusIsDescribed(t *testing.T) {
	m := &message{Target: &Target{Method: "GET"}, problems: true}
	_, detail := m.judge(response(500, "text/plain"), []byte(strings.Repeat("é", 5000)))
	if !strings.HasPrefix(detail, "status 500, and no problem document") || len(detail) > 1000 || !strings.HasSuffix(detail, `é"...`) {
		t.Error(detail)
	}
	right := []byte(`{"type":"a","title":"t","status":503,"detail":"d","instance":"/x"}`)
	if _, detail := m.judge(response(503, "application/problem+json"), right); !strings.HasPrefix(detail, "status 503: ") {
		t.Error(detail)
	}
	if _, detail := m.judge(response(302, ""), nil); detail != "status 302: no body" {
		t.Error(detail)
	}
}

func TestExpectedStatus(t *testing.T) {
	for _, test := range []struct {
		want, status int
		right        bool
	}{
		{0, 200, true}, {0, 204, true}, {0, 299, true}, {0, 304, true}, {0, 301, false}, {0, 404, false}, {0, 101, false}, {0, 500, false},
		{404, 404, true}, {404, 200, false}, {200, 204, false},
	} {
		m := &message{Target: &Target{ExpectStatus: test.want}}
		if m.expects(test.status) != test.right {
			t.Errorf("%+v", test)
		}
	}
}
