package page

import (
	"context"
	"io"

	"github.com/a-h/templ"
)

// embedded is an element with one of the files that are part of the program.
func embedded(element, content string) templ.Component {
	return templ.Raw("<" + element + ">" + content + "</" + element + ">")
}

// pieces is a text in pieces between which a line may end. A template would put blanks
// between them.
func pieces(all []string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		for i, piece := range all {
			if i > 0 {
				if _, err := io.WriteString(w, "<wbr>"); err != nil {
					return err
				}
			}
			if _, err := io.WriteString(w, templ.EscapeString(piece)); err != nil {
				return err
			}
		}
		return nil
	})
}
