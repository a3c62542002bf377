package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"sync"
)

// A toolset is what the naive server stores, and renders for each request.
type toolset struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace"`
	Type            string            `json:"type"`
	Description     string            `json:"description"`
	Enabled         bool              `json:"enabled"`
	Healthy         bool              `json:"healthy"`
	HealthReason    string            `json:"healthReason"`
	Config          map[string]string `json:"config"`
	ServiceEndpoint string            `json:"serviceEndpoint"`
	DiscoveredAt    string            `json:"discoveredAt"`
	LastHealthCheck *string           `json:"lastHealthCheck"`
}

// A toolsetList is the answer to a request for a list.
type toolsetList struct {
	Toolsets         []toolset `json:"toolsets"`
	Total            int       `json:"total"`
	LastDiscovery    string    `json:"lastDiscovery"`
	ConfigMapVersion string    `json:"configMapVersion"`
}

// A store is the obvious first version of such a service: toolsets in a map with a mutex,
// rendered for each request.
type store struct {
	mu               sync.Mutex
	toolsets         map[string]toolset // by name
	lastDiscovery    string
	configMapVersion string
}

func naive(set Set) (server, error) {
	var all toolsetList
	if err := json.Unmarshal(set[List400K].Body, &all); err != nil {
		return nil, fmt.Errorf("the list of all toolsets: %w", err)
	}
	s := &store{toolsets: map[string]toolset{}, lastDiscovery: all.LastDiscovery, configMapVersion: all.ConfigMapVersion}
	for _, t := range all.Toolsets {
		s.toolsets[t.Name] = t
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+listPath, s.list)
	mux.HandleFunc("GET "+listPath+"/{name}", s.one)
	return serveHTTP(mux), nil
}

func (s *store) list(w http.ResponseWriter, r *http.Request) {
	namespace := r.URL.Query().Get("namespace")
	s.mu.Lock()
	l := toolsetList{Toolsets: []toolset{}, LastDiscovery: s.lastDiscovery, ConfigMapVersion: s.configMapVersion}
	for _, t := range s.toolsets {
		if namespace == "" || t.Namespace == namespace {
			l.Toolsets = append(l.Toolsets, t)
		}
	}
	sort.Slice(l.Toolsets, func(i, j int) bool {
		a, b := l.Toolsets[i], l.Toolsets[j]
		if a.Namespace != b.Namespace {
			return a.Namespace < b.Namespace
		}
		return a.Name < b.Name
	})
	l.Total = len(l.Toolsets)
	body, err := json.Marshal(l)
	s.mu.Unlock()
	sendRendered(w, r, body, err)
}

func (s *store) one(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t, ok := s.toolsets[r.PathValue("name")]
	body, err := json.Marshal(t)
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	sendRendered(w, r, body, err)
}

// sendRendered answers with a body and computes its entity tag.
func sendRendered(w http.ResponseWriter, r *http.Request, body []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(body)
	sendDocument(w, r, document{body, strconv.Quote(hex.EncodeToString(sum[:16]))}, true)
}
