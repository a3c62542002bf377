package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// tolerance is the divisor of the size of our response that gives the allowed difference.
const tolerance = 20

// Verify fetches the answers of a server, as Fetch does, and returns them. It fails if they
// differ from ours in a way that matters to a client, and the error says how.
//
// Status, body, and names and values of the header fields must be equal, except:
//
//   - Date and Server have other values.
//   - X-Request-Id has another value of the same length.
//   - The ETag of nginx is made of a file's time and length, that of the naive server of the
//     body.
//   - nginx also sends "Connection: keep-alive", which can't be switched off.
//   - The members of JSON objects in bodies of the naive server may be in another order.
//
// The whole response may be smaller or larger by a twentieth.
func Verify(ctx context.Context, name, addr string, ours Set, fields ...[2]string) (Set, error) {
	if err := ours.complete(); err != nil {
		return nil, err
	}
	set, err := Fetch(ctx, addr, fields...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var all []error
	for _, w := range Workloads() {
		want, got := ours[w], set[w]
		for _, err := range compare(name, &want, &got) {
			all = append(all, fmt.Errorf("%s answers %s otherwise than %s: %w", name, w, Ours, err))
		}
	}
	return set, errors.Join(all...)
}

// compare returns all differences between an answer of the server and ours.
func compare(name string, want, got *Answer) (all []error) {
	differs := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if got.Status != want.Status {
		differs("status %d instead of %d", got.Status, want.Status)
	}
	if !equalBodies(name, want.Body, got.Body) {
		differs("body %s", difference(want.Body, got.Body))
	}
	names := got.names()
	if name == Nginx {
		names = slices.DeleteFunc(names, func(n string) bool { return n == "connection" })
	}
	if !slices.Equal(names, want.names()) {
		differs("header fields %s instead of %s", strings.Join(names, ", "), strings.Join(want.names(), ", "))
	}
	for _, n := range want.names() {
		if !slices.Contains(names, n) {
			continue // reported above
		}
		if w, g := want.field(n), got.field(n); !equalValues(name, n, w, g) {
			differs("header field %s is %q instead of %q", n, g, w)
		}
	}
	if off := got.Size - want.Size; max(off, -off)*tolerance > want.Size {
		differs("response of %d bytes instead of %d, %+.1f %%", got.Size, want.Size, 100*float64(off)/float64(want.Size))
	}
	return all
}

func equalBodies(name string, want, got []byte) bool {
	if bytes.Equal(want, got) {
		return true
	}
	if name != Naive || len(want) != len(got) {
		return false
	}
	var w, g any
	return json.Unmarshal(want, &w) == nil && json.Unmarshal(got, &g) == nil && reflect.DeepEqual(w, g)
}

// equalValues reports whether two values of a field, whose name is in lower case, count as
// equal.
func equalValues(server, field, want, got string) bool {
	switch field {
	case "server":
		return got != ""
	case "date", "x-request-id":
		return len(got) == len(want)
	case "etag":
		if server == Nginx || server == Naive {
			return got != ""
		}
	}
	return got == want
}
