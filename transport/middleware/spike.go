package middleware

import "time"

var get = []byte("GET")

// SpikeObserver returns what counts an answer of the route with this pattern.
func (c *Chain) SpikeObserver(pattern string) func(status int, took time.Duration) {
	r := c.metrics.route(pattern)
	return func(status int, took time.Duration) { r.observe(get, status, took) }
}

// SpikeDraining reports whether answers announce the end of their connections.
func (c *Chain) SpikeDraining() bool { return c.draining.Load() }
