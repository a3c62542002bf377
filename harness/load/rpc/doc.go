// Package rpc makes unary gRPC calls on one connection, with grpc-go, and says of each
// what became of it.
//
// # What grpc-go does by itself, and what of that is left
//
// A ClientConn of grpc-go makes new connections in the background. Here it has one and no
// other: it is given a connection that exists, and its second dial is refused. So a call
// whose connection is gone fails, and the caller decides about another connection.
//
// Retries by a service configuration are turned off, and so is the configuration.
//
// Transparent retries can't be turned off (grpc.WithDisableRetry leaves them on). grpc-go
// makes them if nothing of the call was written, or if the server said that it did not
// process the call: by a GOAWAY with a lower last stream, or by REFUSED_STREAM. After a
// GOAWAY they come to nothing here, as there is no other connection, and [Result] says
// Unprocessed. After REFUSED_STREAM, grpc-go sends the call once more on the same
// connection, and [Result.Again] counts it. No call is sent again that the server may have
// processed.
//
// # Methods
//
// [Resolve] learns a method's types from a file of descriptors, from those of
// grpc.health.v1 that are built in, or by server reflection (v1, then v1alpha), and makes
// its request from JSON.
package rpc
