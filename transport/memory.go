package transport

import (
	"runtime"
	"runtime/debug"
	"time"
)

// maxMetricsConnections bounds the connections of the metrics port, which a few scrapers
// use. They do not count for the limit of the API port.
const maxMetricsConnections = 500

const (
	// crowdLeft is how many connections must have been open for it to be worth a garbage
	// collection when they are gone.
	crowdLeft = 1000
	// crowdInterval is how often the connections are counted.
	crowdInterval = time.Second
)

// giveMemoryBack returns the memory of many connections to the system once half of them
// are gone. Otherwise it would stay until the next garbage collection of the Go runtime,
// which may be two minutes away, and what is in pools until the one after that.
func (s *Server) giveMemoryBack() {
	t := time.NewTicker(crowdInterval)
	defer t.Stop()
	most := 0
	for {
		select {
		case <-s.life.Done():
			return
		case <-t.C:
		}
		open := s.apiPort.listener.Open() + s.metricsPort.listener.Open()
		if most = max(most, open); most < crowdLeft || open > most/2 {
			continue
		}
		most = open
		runtime.GC()
		debug.FreeOSMemory()
	}
}
