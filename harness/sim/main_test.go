package sim_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/harness/sim"
)

// ownerEnv, set to the binary, makes the test binary, executed again, the owner of
// a control plane that a test kills; see TestKilledOwnerLeavesNothing.
const ownerEnv = "SIM_TEST_OWNER"

func TestMain(m *testing.M) {
	if binary := os.Getenv(ownerEnv); binary != "" {
		beOwner(binary)
	}
	goleak.VerifyTestMain(m)
}

// beOwner starts a control plane, prints its state directory and waits to be
// killed. It never returns.
func beOwner(binary string) {
	cp, err := sim.StartControlPlane(context.Background(), sim.WithBinary(binary))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(cp.Dir())
	select {}
}
