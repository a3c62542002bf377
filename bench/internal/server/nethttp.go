package server

import (
	"net"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"
)

// netHTTP returns the standard library's server with its router.
func netHTTP(set Set) (server, error) {
	p := prepare(set)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+listPath, p.list)
	mux.HandleFunc("GET "+listPath+"/{name}", func(w http.ResponseWriter, r *http.Request) { p.one(w, r, r.PathValue("name")) })
	return serveHTTP(mux), nil
}

// chiRouter returns the standard library's server with chi, a popular router.
func chiRouter(set Set) (server, error) {
	p := prepare(set)
	r := chi.NewRouter()
	r.Get(listPath, p.list)
	r.Get(listPath+"/{name}", func(w http.ResponseWriter, r *http.Request) { p.one(w, r, chi.URLParam(r, "name")) })
	return serveHTTP(r), nil
}

// serveHTTP returns an http.Server with its defaults, which has no timeouts.
func serveHTTP(h http.Handler) server {
	s := &http.Server{Handler: h} // #nosec G112 -- the only client is our own
	return func(l net.Listener) error { return s.Serve(l) }
}

// prepared has answers that were rendered beforehand.
type prepared struct{ names, namespaces map[string]document }

func prepare(set Set) *prepared {
	return &prepared{
		names:      map[string]document{askedName: documentOf(set[ByName])},
		namespaces: map[string]document{askedNamespace: documentOf(set[List4K]), "": documentOf(set[List400K])},
	}
}

func (p *prepared) list(w http.ResponseWriter, r *http.Request) {
	d, ok := p.namespaces[r.URL.Query().Get("namespace")]
	sendDocument(w, r, d, ok)
}

func (p *prepared) one(w http.ResponseWriter, r *http.Request, name string) {
	d, ok := p.names[name]
	sendDocument(w, r, d, ok)
}

func sendDocument(w http.ResponseWriter, r *http.Request, d document, found bool) {
	if !found {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Server", serverName)
	h.Set("X-Request-Id", requestID)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Etag", d.tag)
	h.Set("X-Served-By", servedBy)
	if r.Header.Get("If-None-Match") == d.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(d.body))) // otherwise a large body is sent in chunks
	_, _ = w.Write(d.body)                             // the client may have gone
}
