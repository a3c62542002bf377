// Package identity decides, from the answers of an endpoint, which product it is. Rules say
// what to ask, and what the answers of each kind of back end look like.
package identity
