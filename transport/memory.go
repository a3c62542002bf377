package transport

import (
	"runtime"
	"runtime/debug"
	"time"
)

// maxMetricsConnections bounds the connections of the metrics port, which a few
// scrapers use. They are besides those of the API port.
const maxMetricsConnections = 500

const (
	// crowdLeft is how many connections must have been open for their end to be
	// worth a garbage collection.
	crowdLeft = 1000
	// crowdInterval is how often they are counted.
	crowdInterval = time.Second
)

// giveMemoryBack gives the memory of many connections back to the system once half of
// them are gone. The Go runtime would wait for the next garbage collection, which may
// be two minutes away, and for two of them what is in pools.
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
