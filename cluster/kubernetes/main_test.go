package kubernetes

import (
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

const soon = testenv.Patience

// An api is the API server, with what these tests do to it.
type api struct{ *apiserver.API }

func newAPI(t *testing.T) *api { t.Helper(); return &api{apiserver.New(t)} }
