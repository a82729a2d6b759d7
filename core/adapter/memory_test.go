package adapter_test

import (
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	siotest.TestCluster(t, func(_ *testing.T, n int) []adapter.Cluster {
		return slices.Repeat([]adapter.Cluster{adapter.NewMemory()}, n)
	})
}
