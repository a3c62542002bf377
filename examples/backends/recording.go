package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

// own are answers that the service's tests don't need.
//
//go:embed answers/*.json
var own embed.FS

// An answer is what a product has answered to a request, or to any other one.
type answer struct {
	Get    string            `json:"get"`
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
}

// A recording has the answers of a product, in the form of service/identity/testdata/recorded.
type recording struct {
	Source    string   `json:"source"`
	Product   string   `json:"product"`
	Prefix    string   `json:"prefix"` // the answers are below it
	Answers   []answer `json:"answers"`
	Above     []answer `json:"above"`     // those that are not
	Otherwise answer   `json:"otherwise"` // to what was not asked; without a status: another recording says it
}

// load reads a recording from answers, or from a folder.
func load(recorded fs.FS, name string) (*recording, error) {
	data, err := own.ReadFile("answers/" + name + ".json")
	if err != nil {
		data, err = fs.ReadFile(recorded, name+".json")
	}
	if err != nil {
		return nil, err
	}
	r := &recording{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s.json: %w", name, err)
	}
	return r, nil
}

// find returns the answer to a GET of path, which has a query; nil if none was recorded.
func (r *recording) find(path string) *answer {
	answers := r.Answers
	if r.Prefix != "" {
		if below, ok := strings.CutPrefix(path, r.Prefix); ok && below != "" {
			path = below
		} else {
			answers = r.Above
		}
	}
	for i := range answers {
		if answers[i].Get == path {
			return &answers[i]
		}
	}
	return nil
}

// A product answers as one has answered.
type product []*recording

func loadProduct(recorded fs.FS, names []string) (p product, err error) {
	for _, name := range names {
		r, err := load(recorded, name)
		if err != nil {
			return nil, err
		}
		p = append(p, r)
	}
	return p, nil
}

func (p product) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found := &answer{Status: http.StatusNotFound}
	for _, rec := range p {
		if a := rec.find(r.URL.RequestURI()); a != nil {
			found = a
			break
		}
		if rec.Otherwise.Status != 0 {
			found = &rec.Otherwise
		}
	}
	for name, value := range found.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(found.Status)
	_, _ = w.Write([]byte(found.Body)) // the client has gone if that fails
}
