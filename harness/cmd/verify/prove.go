package main

import (
	"context"
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// prove verifies, and if --prove-fix is given and the causes ask for a change of the
// manifest, makes it and verifies again in the same cluster.
func (f *flags) prove(ctx context.Context, c cluster.Cluster, o *verify.Options) (*record.Run, error) {
	run, err := verify.Run(ctx, c, *o)
	if err != nil || !f.proveFix {
		return run, err
	}
	patch := cause.Patch(run)
	if patch == "" {
		run.Notes = append(run.Notes, "Nothing was proved (--prove-fix): no cause asks for a change of the manifest.")
		return run, nil
	}
	o.Say("once more, with the manifest changed as the causes ask:\n%s", indent(strings.TrimSpace(patch)))
	again := *o
	again.Patch = patch
	if run.Fixed, err = verify.Run(ctx, c, again); err != nil {
		// The verdict on the target as it is stands.
		run.Notes = append(run.Notes, fmt.Sprintf("The change could not be proved: %v", err))
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return run, nil
}
