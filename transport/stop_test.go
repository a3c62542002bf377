package transport

import (
	"context"
	"sync"
	"time"
)

var stopped sync.Map // servers that Shutdown has stopped, with their errors

// Shutdown stops a server without any wait, for tests of something else.
func (s *Server) Shutdown(context.Context) error {
	once, _ := stopped.LoadOrStore(s, sync.OnceValue(func() error {
		s.Flag()
		err := s.Drain(30 * time.Second)
		s.CloseBackground(context.Background()) //nolint:errcheck // there is no end to the context
		s.CloseMetrics(context.Background())    //nolint:errcheck // nil
		return err
	}))
	return once.(func() error)()
}
