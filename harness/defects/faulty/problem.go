package main

import (
	"encoding/json"
	"net/http"
)

// A problem is a problem document (RFC 9457).
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
}

// problem sends an error response. req is nil if there was no valid request.
func (c *conn) problem(req *http.Request, status int, detail string) {
	if c.server.opts.defect == plainTextErrors {
		c.send(req, status, "text/plain; charset=utf-8", []byte(http.StatusText(status)+"\n"))
		return
	}
	p := problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Instance: "/"}
	if req != nil && req.URL.Path != "" { // CONNECT has no path
		p.Instance = req.URL.EscapedPath()
	}
	c.sendJSON(req, status, "application/problem+json", p)
}

// sendJSON sends a document.
func (c *conn) sendJSON(req *http.Request, status int, contentType string, document any) {
	b, err := json.Marshal(document)
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	c.send(req, status, contentType, append(b, '\n'))
}
