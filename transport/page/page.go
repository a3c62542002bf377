// Package page draws the page of the service for people: which back ends there are, what
// they say they are, whether they are healthy, why one of them is the primary, and how the
// service itself does.
//
// The package is pure. It knows neither HTTP nor the catalogue: [Page.Write] makes HTML from
// a snapshot, a [State] and a [Query].
//
//	query.go        which back ends are wanted, and the links to other queries
//	state.go        what is to be said about the service
//	model.go        what the page shows, as data: overview.go, row.go, explanation.go
//	page.templ      the elements: explanation.templ, overview.templ, list.templ, parts.templ;
//	                page.css and page.js are embedded in them
//	policy.go       what the page may load and run: these two, and nothing else
//
// The page works without a script. The script keeps it up to date: it follows the event
// stream, asks for the page again when something has changed, and puts what is different in
// the place of what was there. So HTML is made here and nowhere else.
//
// Nearly every text on it comes from somebody who may not be trusted: from annotations,
// labels, and the answers of back ends. The templates escape all of it, by the place where it
// is shown (https://templ.guide/security/injection-attacks): in an attribute that leads
// somewhere, only a reference that runs no script is left as it is. [format.Visible] replaces
// characters that would change how others are shown, and all of it is cut.
//
// The templates are compiled. Go's html/template finds methods by their names, for which the
// linker keeps every exported method of every type: it made the service's binary 21 MB larger.
// After a change of a template, go generate renews the code.
package page

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

//go:generate go tool templ generate

var (
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// A Page draws the page. Its methods may be called concurrently.
type Page struct {
	// identityOf returns what a back end has said itself. Tests have their own.
	identityOf func(snapshot.Item) service.Identity
	now        func() time.Time

	overview atomic.Pointer[overview] // of the snapshot that was shown last
	size     atomic.Int64             // bytes of the page that was drawn last
}

// New returns a Page.
func New() *Page {
	return &Page{
		identityOf: snapshot.Item.Identity,
		now:        time.Now,
	}
}

// Write writes the page for a query. explanation is what somebody has found out about
// q.Explain, as any value that encoding/json takes; nil if q has none. Nothing is written if
// there is an error.
func (p *Page) Write(w io.Writer, snap *snapshot.Snapshot, state *State, q *Query, explanation any) error {
	m, err := p.model(snap, state, q, explanation)
	if err != nil {
		return err
	}
	var out strings.Builder
	out.Grow(int(p.size.Load()) + 4096)
	if err := document(m).Render(context.Background(), &out); err != nil { // there is nothing to wait for
		return fmt.Errorf("the page's template: %w", err)
	}
	p.size.Store(int64(out.Len()))
	_, err = io.WriteString(w, format.Visible(out.String()))
	return err
}
