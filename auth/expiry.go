package auth

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"time"
)

// expiry returns when a token says that it ends: the claim "exp" of a JSON Web Token (RFC
// 7519, section 4.1.4). It returns false if there is no such claim, or the token is not a
// JSON Web Token.
//
// The signature is not checked. The authority has checked it, and the result can only
// shorten how long the authority's decision is remembered.
func expiry(token string) (time.Time, bool) {
	_, rest, ok := strings.Cut(token, ".")
	if !ok {
		return time.Time{}, false
	}
	payload, _, ok := strings.Cut(rest, ".")
	if !ok {
		return time.Time{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Expires *float64 `json:"exp"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Expires == nil {
		return time.Time{}, false
	}
	// A time beyond the year 9999 is not a date, and the conversion may overflow.
	const latest = 253402300799
	if s := *claims.Expires; s >= 0 && s <= latest {
		whole, part := math.Modf(s)
		return time.Unix(int64(whole), int64(part*1e9)), true
	}
	return time.Time{}, false
}
