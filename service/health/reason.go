package health

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

// maxReason is the maximal length of a reason in bytes.
const maxReason = 200

// judge reports whether an answer with this status means healthy, and the reason.
func judge(t *target, status int, d time.Duration) (bool, string) {
	answered := t.what + " answered " + strconv.Itoa(status)
	switch {
	case t.accepts(status):
		return true, answered + " in " + took(d)
	case status >= 300 && status <= 399:
		return false, answered + ": it redirects to another place; health checks do not follow redirects, so set the path it redirects to"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return false, answered + ": it wants credentials, which health checks do not send; set a health path that needs none"
	case status == http.StatusNotFound:
		return false, answered + ": set the health path that this back end has"
	}
	return false, answered
}

// failure returns the outcome of an attempt that got no answer. No text quotes what the
// endpoint sent.
func failure(ctx context.Context, t *target, err error) outcome {
	text, final := outbound.Failure(ctx, t.host, t.port, err)
	return outcome{text: text, final: final}
}

// sentence returns the reason for the outcome of a check, with the number of attempts,
// within maxReason.
func (c *Checker) sentence(o *outcome, attempts int) string {
	text := o.text
	if text == "" {
		text = "no answer within " + took(c.opts.Timeout)
	}
	suffix := ""
	if attempts > 1 {
		suffix = fmt.Sprintf(" (%d attempts)", attempts)
	}
	return outbound.Clean(text, maxReason-len(suffix)) + suffix
}

// took formats a duration for people, such as "3 ms" or "1.5 s".
func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(float64(d.Round(100*time.Millisecond))/float64(time.Second), 'f', -1, 64) + " s"
}
