// Package report tells people and machines what a verification found. All of it
// is a pure function of a [record.Run]:
//
//	report.json         everything; requests counted per second, lost ones in full
//	requests.ndjson.gz  every request, one JSON object a line
//	junit.xml           one test case per check, for CI systems
//	report.html         one page for people, without network or need of script
//	timeline.svg        the page's picture alone, for documentation
//
// [Terminal] says the same in few lines, and [Compare] draws several runs beside
// each other.
//
// # What is counted how
//
// A request belongs to the second, and to the phase, in which it was sent. It is
// drawn as lost at the moment in which that was known (its end), with a thin
// line back to when it was sent. Latencies are of the requests that were
// answered as they should be: one that failed fast would make them look better.
// For event streams the "latency" is how long they were held, so they are left
// out wherever latencies are compared.
//
// # What is trusted
//
// Nothing. The names, messages and log lines come from a cluster, which may be
// anyone's: they are escaped for the page and the pictures, stripped of control
// characters for the terminal, cut to a length, and their number is bounded
// (the report says so wherever something was left out).
package report
