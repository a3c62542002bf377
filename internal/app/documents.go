package app

import (
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// documentOptions returns which documents there are, and what is in them, by the settings.
func documentOptions(s *config.HolmesGPT, d *config.Documents) snapshot.DocumentOptions {
	return snapshot.DocumentOptions{Outputs: d.Outputs, OwnURL: d.OwnURL, HolmesGPT: holmesgpt.Options{LeaveOut: s.LeaveOut, Curl: s.Curl}}
}

// documents returns a function that returns the current documents, for a writer; nil as
// long as they may not be written. It tells how many tools they bring to an agent: by a
// metric, and once by the log when these become too many. It is called by one goroutine at
// a time.
func (a *App) documents() func() []service.Document {
	options := documentOptions(&a.settings.HolmesGPT, &a.settings.Documents)
	var tools atomic.Int64
	a.set.NewGauge("toolset_holmesgpt_tools", func() float64 { return float64(tools.Load()) })
	warned := false
	return func() []service.Document {
		if !a.settled.isOpen() {
			return nil
		}
		docs := a.catalogue.Documents(options)
		for i := range docs {
			d := &docs[i]
			if d.Key != holmesgpt.Key {
				continue
			}
			tools.Store(int64(d.Tools))
			if many := d.Tools >= holmesgpt.ManyTools; many != warned {
				if warned = many; many {
					a.log.Warn("The document for HolmesGPT has many tools", zap.Int("tools", d.Tools), zap.String("remedy", tooManyRemedy))
				}
			}
		}
		return docs
	}
}

const tooManyRemedy = "switch toolsets off by overrides, or leave built-in ones out by --holmesgpt-leave-out; without --holmesgpt-curl several back ends of a type share tools"

// tooManyTools says that a document has too many tools.
func tooManyTools(d *service.Document) string {
	return fmt.Sprintf("%s brings %d tools, which is too many for some models (OpenAI's accept 128, with those of HolmesGPT itself): %s", d.Key, d.Tools, tooManyRemedy)
}
