package transport_test

import (
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// authority is trusted by the clients of these tests.
var authority = sync.OnceValue(func() *certtest.Authority {
	a, err := certtest.NewAuthority()
	if err != nil {
		panic(err)
	}
	return a
})

// overTLS reports whether a test runs within TestOverTLS, where each server uses TLS
// unless the test says otherwise.
func overTLS(t *testing.T) bool { return strings.HasPrefix(t.Name(), "TestOverTLS/") }

// A promise is a test that must pass on each way to serve a connection.
type promise struct {
	name string
	test func(*testing.T)
}

// promises are about what is difficult: above all, that no request is lost.
func promises() []promise {
	return []promise{
		{"ShutdownReadinessCoordination", TestShutdownReadinessCoordination},
		{"ShutdownLivenessDuringShutdown", TestShutdownLivenessDuringShutdown},
		{"ShutdownInFlightCompletion", TestShutdownInFlightCompletion},
		{"ShutdownResourceCleanup", TestShutdownResourceCleanup},
		{"ShutdownTimeoutRespected", TestShutdownTimeoutRespected},
		{"ShutdownFiveSecondWait", TestShutdownFiveSecondWait},
		{"ShutdownLogging", TestShutdownLogging},
		{"ShutdownConcurrent", TestShutdownConcurrent},
		{"TrapKeptConnectionDuringDelay", TestTrapKeptConnectionDuringDelay},
		{"TrapIdleConnectionsAtTheWorstMoment", TestTrapIdleConnectionsAtTheWorstMoment},
		{"TrapSilentConnectionsAroundTheClose", TestTrapSilentConnectionsAroundTheClose},
		{"TrapAcceptQueue", TestTrapAcceptQueue},
		{"TrapPipelined", TestTrapPipelined},
		{"TrapPipelinedBehindABody", TestTrapPipelinedBehindABody},
		{"MaxConnectionAgeBehindABody", TestMaxConnectionAgeBehindABody},
		{"TrapHalfSent", TestTrapHalfSent},
		{"TrapWatcher", TestTrapWatcher},
		{"WatchResumes", TestWatchResumes},
		{"IdleConnectionEndsSilently", TestIdleConnectionEndsSilently},
		{"ContinueOnAKeptConnection", TestContinueOnAKeptConnection},
		{"MaxConnectionAge", TestMaxConnectionAge},
		{"ProblemTypeURI", TestProblemTypeURI},
		{"ProblemOrderOfChecks", TestProblemOrderOfChecks},
		{"ProblemFromBelowTheHandlers", TestProblemFromBelowTheHandlers},
		{"ProblemFromBelowOnAKeptConnection", TestProblemFromBelowOnAKeptConnection},
		{"ProblemConnectionLimit", TestProblemConnectionLimit},
		{"EachOverTheConnectionLimitIsTold", TestEachOverTheConnectionLimitIsTold},
		{"ProblemUnavailableDuringShutdown", TestProblemUnavailableDuringShutdown},
		{"ReadsRevalidateAndCompress", TestReadsRevalidateAndCompress},
	}
}

// What holds for plain HTTP holds over TLS.
func TestOverTLS(t *testing.T) {
	for _, p := range append(promises(), promise{"ShutdownEndsProfiles", TestShutdownEndsProfiles}) {
		t.Run(p.name, p.test)
	}
}
