package load

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// shown is how many bytes of an unexpected body a detail has.
const shown = 200

// judge compares a complete response with what the target expects. It returns the
// outcome and a detail.
func (m *message) judge(resp *http.Response, body []byte) (record.Outcome, string) {
	status := resp.StatusCode
	if !m.expects(status) {
		return record.UnexpectedStatus, m.describe(resp, body)
	}
	if m.ExpectProblem {
		if err := checkProblem(resp, body); err != nil {
			return record.NotProblem, fmt.Sprintf("%v: %s", err, excerpt(body))
		}
	}
	if m.ExpectJSON && status != http.StatusNoContent && status != http.StatusNotModified {
		switch kind := mediaType(resp); {
		case kind != "application/json" && !strings.HasSuffix(kind, "+json"):
			return record.WrongBody, fmt.Sprintf("its type is %q, not JSON: %s", resp.Header.Get("Content-Type"), excerpt(body))
		case !json.Valid(body):
			return record.WrongBody, "it is not JSON: " + excerpt(body)
		}
	}
	return record.OK, ""
}

func (m *message) expects(status int) bool {
	if slices.Contains(m.AlsoExpect, status) {
		return true
	}
	if m.ExpectStatus != 0 {
		return status == m.ExpectStatus
	}
	return status/100 == 2 || status == http.StatusNotModified
}

// describe describes a response with an unexpected status.
func (m *message) describe(resp *http.Response, body []byte) string {
	detail := fmt.Sprintf("status %d: %s", resp.StatusCode, excerpt(body))
	if m.ExpectStatus != 0 {
		detail = fmt.Sprintf("status %d where %d is expected: %s", resp.StatusCode, m.ExpectStatus, excerpt(body))
	}
	if m.problems && resp.StatusCode >= 400 && m.Method != http.MethodHead {
		if err := checkProblem(resp, body); err != nil {
			detail = fmt.Sprintf("status %d, and no problem document (%v): %s", resp.StatusCode, err, excerpt(body))
		}
	}
	return detail
}

// checkProblem returns what a response lacks to be a problem document; nil if nothing.
func checkProblem(resp *http.Response, body []byte) error {
	return problemdoc.Check(resp.Header.Get("Content-Type"), body, resp.StatusCode)
}

// mediaType returns the media type of the body, without parameters.
func mediaType(resp *http.Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

func excerpt(body []byte) string {
	if len(body) == 0 {
		return "no body"
	}
	if len(body) > shown {
		return fmt.Sprintf("%q...", body[:shown])
	}
	return fmt.Sprintf("%q", body)
}
