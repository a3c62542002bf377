package comparison

import (
	"errors"
	"io"
)

// HTML writes the result as one page that needs no network and no script.
func (r *Result) HTML(w io.Writer) error { return errors.New("not yet") }

// SVG draws one of the charts as a file of its own: "cpu", "latency", "memory" or "ratios".
func (r *Result) SVG(name string) ([]byte, error) { return nil, errors.New("not yet") }
