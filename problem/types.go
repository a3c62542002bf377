// Package problem writes errors as problem details documents
// (application/problem+json, RFC 9457, which replaces RFC 7807) and holds the
// registry of the error types that this service can answer with.
//
// Every 4xx and 5xx of the service is one of these documents, from whichever
// layer it comes. The registry is closed: a type that is not listed here can't
// be sent, so that the documentation of the types can be complete.
package problem

import "slices"

// ContentType is the media type of every error response (RFC 9457, section 3).
const ContentType = "application/problem+json"

// baseURI precedes the name of a type in the member "type".
const baseURI = "https://kubernaut.io/errors/"

// A Type is one kind of problem. Title and Status never vary between
// occurrences (RFC 9457, section 3.1.3); what happened in particular goes into
// the detail of a Problem.
type Type struct {
	// Name is the last segment of the type URI, such as "not-found".
	Name string
	// Title is the short summary for people.
	Title string
	// Status is the HTTP status code that the type is sent with.
	Status int
}

// URI returns the type's URI, the member "type" of the document.
func (t *Type) URI() string { return baseURI + t.Name }

// The types, in the order of their status codes.
var (
	// Validation: malformed request line, header, JSON or query value.
	Validation = &Type{"validation-error", "Bad Request", 400}
	// Unauthorized: no bearer token or an unknown one.
	Unauthorized = &Type{"unauthorized", "Unauthorized", 401}
	// Forbidden: a known token without permission.
	Forbidden = &Type{"forbidden", "Forbidden", 403}
	// NotFound: unknown path or toolset.
	NotFound = &Type{"not-found", "Not Found", 404}
	// MethodNotAllowed: the path exists, the method does not; sent with Allow.
	MethodNotAllowed = &Type{"method-not-allowed", "Method Not Allowed", 405}
	// RequestTimeout: a request was begun but did not arrive in time.
	RequestTimeout = &Type{"request-timeout", "Request Timeout", 408}
	// Conflict: a toolset name that more than one toolset has.
	Conflict = &Type{"conflict", "Conflict", 409}
	// PayloadTooLarge: a request body over the limit.
	PayloadTooLarge = &Type{"payload-too-large", "Content Too Large", 413}
	// URITooLong: a request line over the limit.
	URITooLong = &Type{"uri-too-long", "URI Too Long", 414}
	// UnsupportedMediaType: a body that is not declared to be application/json.
	UnsupportedMediaType = &Type{"unsupported-media-type", "Unsupported Media Type", 415}
	// TooManyRequests: a client over its rate limit; sent with Retry-After.
	TooManyRequests = &Type{"too-many-requests", "Too Many Requests", 429}
	// HeadersTooLarge: header fields over the limit.
	HeadersTooLarge = &Type{"headers-too-large", "Request Header Fields Too Large", 431}
	// Internal: a bug. What went wrong is in the log, never in the document.
	Internal = &Type{"internal-error", "Internal Server Error", 500}
	// Unavailable: starting, shutting down, Kubernetes unreachable, or at the
	// connection limit; sent with Retry-After.
	Unavailable = &Type{"service-unavailable", "Service Unavailable", 503}
	// VersionNotSupported: a version of HTTP other than 1.1 and 1.0.
	VersionNotSupported = &Type{"http-version-not-supported", "HTTP Version Not Supported", 505}
)

var registry = []*Type{
	Validation, Unauthorized, Forbidden, NotFound, MethodNotAllowed, RequestTimeout, Conflict,
	PayloadTooLarge, URITooLong, UnsupportedMediaType, TooManyRequests, HeadersTooLarge, Internal, Unavailable, VersionNotSupported,
}

// Types returns every registered type in the order of the status codes.
func Types() []*Type { return slices.Clone(registry) }
