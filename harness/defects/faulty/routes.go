package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const contentJSON = "application/json"

// maxEcho bounds the body of /echo, in bytes.
const maxEcho = 64 << 20

// A route is what a path accepts.
type route struct {
	method string // GET includes HEAD
	probe  bool   // for the kubelet, not for users
	handle func(*conn, *http.Request)
}

func (r route) methods() string {
	if r.method == http.MethodGet {
		return "GET, HEAD"
	}
	return r.method
}

func (r route) allows(method string) bool {
	return method == r.method || r.method == http.MethodGet && method == http.MethodHead
}

var routes map[string]route

func init() { // the handlers refer to the routes, which a variable's initializer may not
	routes = map[string]route{
		"/":                {method: http.MethodGet, handle: (*conn).toolsets},
		"/api/v1/toolsets": {method: http.MethodGet, handle: (*conn).toolsets},
		"/slow":            {method: http.MethodGet, handle: (*conn).slow},
		"/echo":            {method: http.MethodPost, handle: (*conn).echo},
		"/events":          {method: http.MethodGet, handle: (*conn).events},
		"/health/ready":    {method: http.MethodGet, probe: true, handle: (*conn).ready},
		"/health/live":     {method: http.MethodGet, probe: true, handle: (*conn).live},
	}
}

func (c *conn) route(req *http.Request) {
	r, ok := routes[req.URL.Path]
	switch {
	case !ok:
		c.problem(req, http.StatusNotFound, "There is nothing at this path.")
	case !r.allows(req.Method):
		c.problem(req, http.StatusMethodNotAllowed, "This path takes "+r.methods()+" only.")
	case c.server.unavailable.Load() && !r.probe:
		c.problem(req, http.StatusServiceUnavailable, "The server is shutting down.")
	default:
		r.handle(c, req)
	}
}

func (c *conn) toolsets(req *http.Request) {
	c.sendJSON(req, http.StatusOK, contentJSON, map[string]any{"toolsets": []string{"example"}, "served_by": c.server.opts.podName})
}

func (c *conn) ready(req *http.Request) {
	if c.server.notReady.Load() {
		c.problem(req, http.StatusServiceUnavailable, "The server is not ready, or is shutting down; requests should go elsewhere.")
		return
	}
	c.sendJSON(req, http.StatusOK, contentJSON, map[string]string{"status": "ready"})
}

func (c *conn) live(req *http.Request) {
	if c.server.notAlive.Load() {
		c.problem(req, http.StatusServiceUnavailable, "The server is shutting down.")
		return
	}
	c.sendJSON(req, http.StatusOK, contentJSON, map[string]string{"status": "alive"})
}

// slow sends half of its response at once and the rest after ?for=. A server that does
// not wait for it cuts it in the middle.
func (c *conn) slow(req *http.Request) {
	d := min(2*time.Second, c.server.maxSlow)
	if text := req.URL.Query().Get("for"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil || d < 0 || d > c.server.maxSlow {
			c.problem(req, http.StatusBadRequest, fmt.Sprintf("for=%q is not a time from 0 to %s; write it like 2s or 500ms.", text, c.server.maxSlow))
			return
		}
	}
	first, rest := []byte(`{"begun":true,`), []byte(`"finished":true}`+"\n")
	c.start(req, http.StatusOK, contentJSON, len(first)+len(rest))
	c.write(first)
	if c.headOnly || c.flush() != nil {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		c.write(rest)
	case <-c.gone:
	}
}

// echo reads a body, however slowly it arrives, and answers with its length.
func (c *conn) echo(req *http.Request) {
	n, err := io.Copy(io.Discard, io.LimitReader(req.Body, maxEcho+1))
	switch {
	case n > maxEcho:
		c.last = true
		c.problem(req, http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is longer than %d bytes.", maxEcho))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.last = true
		c.problem(req, http.StatusRequestTimeout, fmt.Sprintf("The body did not arrive within %s.", bodyTimeout))
	case err != nil:
		c.last = true
		c.problem(req, http.StatusBadRequest, "The body can't be read: "+err.Error())
	default:
		c.sendJSON(req, http.StatusOK, contentJSON, map[string]int64{"length": n})
	}
}
