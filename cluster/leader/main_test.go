package leader

import (
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

const soon = testenv.Patience

// An api is the API server, with the helpers of these tests.
type api struct{ *apiserver.API }

func newAPI(t *testing.T) *api { t.Helper(); return &api{apiserver.New(t)} }
