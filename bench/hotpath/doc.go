// Package hotpath measures what a lookup costs within the whole server: package
// transport with everything on that a pod has, answering over real connections.
//
//	go test -run - -bench . ./bench/hotpath
//
// Each lookup is measured over an in-memory connection, which leaves out the
// kernel, and over loopback TCP; and next to it a bare fasthttp server that sends
// the same bytes, so that the ratio of the two can be read whatever the machine:
//
//	make bench-go
//
// The client is in the same process, and part of all figures: the same part for
// both servers. It allocates nothing, so B/op and allocs/op are the server's.
// cpu-ns/op is the CPU time of the process, which a busy machine falsifies less
// than the time that passes. To compare with another revision, see
// make bench-compare.
//
// TestLookupsDoNotAllocate asserts that a lookup allocates nothing.
package hotpath
