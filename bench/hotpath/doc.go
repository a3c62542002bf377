// Package hotpath measures what a lookup costs in the whole server: package transport with
// everything that a pod has switched on, over real connections.
//
//	make bench-go
//
// Each lookup is measured over an in-memory connection, which leaves out the kernel, and
// over loopback TCP. A bare fasthttp server that sends the same bytes is measured beside
// it: the ratio of the two means the same on any machine. To compare with another
// revision, use make bench-compare.
//
// The client runs in the same process and adds the same to the figures of both servers. It
// does not allocate, so B/op and allocs/op are the server's alone. cpu-ns/op is the CPU
// time of the process: other programs on the machine affect it less than ns/op.
//
// TestLookupsDoNotAllocate asserts that a lookup allocates nothing.
package hotpath
