// Package report tells people and machines what a verification found. [WriteAll] writes
// these files, each a pure function of a [record.Run]:
//
//	report.json         everything; requests counted per second, lost ones in full
//	requests.ndjson.gz  every request, one JSON object a line
//	junit.xml           one test case per check, for CI systems
//	report.html         one page for people, which needs no network and no script
//	timeline.svg        the page's picture alone, for documentation
//
// [Terminal] prints a short form, and [Compare] draws several runs beside each other.
//
// # How it counts
//
// A request counts in the second and the phase in which it was due. It is drawn as lost at
// its end, with a thin line back to when it was sent. Latencies are those of requests that
// were not lost, since a quick failure would make them look better. The "latency" of an
// event stream is how long it was held, so streams are left out where latencies are
// compared.
//
// # What it trusts
//
// Nothing. Names, messages and log lines come from a cluster, which may be anybody's. They
// are escaped for the page and the pictures, stripped of control characters for the
// terminal, and cut to a length. Their number is bounded, too; the report says where
// something was left out.
package report
