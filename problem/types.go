// Package problem writes errors as problem details documents (application/problem+json,
// RFC 9457, which replaces RFC 7807), and has the registry of the types of errors that
// this service answers with.
//
// A [Problem] is one error: it has a [Type], such as NotFound, a detail for a person, and
// a [FieldError] for each part of the request that is wrong. [Problem.JSON] renders it.
//
// Every response of the service with a 4xx or 5xx status has such a document, whichever
// layer it comes from. The registry is closed: a type that is not in it can't be sent, so
// the pages in docs/errors can be complete.
package problem

import "slices"

// ContentType is the media type of every error response (RFC 9457, section 3).
const ContentType = "application/problem+json"

// baseURI precedes the name of a type in the member "type".
const baseURI = "https://kubernaut.io/errors/"

// A Type is one kind of problem. Its Title and Status are the same for every occurrence
// (RFC 9457, section 3.1.3); what happened this time is in Problem.Detail.
type Type struct {
	// Name is the last segment of the type URI, such as "not-found".
	Name string
	// Title is a short summary for people.
	Title string
	// Status is the HTTP status code of every response with this type.
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
