package workloads

import (
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }
