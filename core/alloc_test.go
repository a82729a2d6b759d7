//go:build !race

package sio_test

import "testing"

// A broadcast is encoded once, and handing it to a receiver allocates nothing.
func TestSIO_BC_7_AllocationsOfABroadcastDoNotGrowWithReceivers(t *testing.T) {
	allocs := func(n int) float64 {
		srv, address := benchServer(t)
		a := newAudience(t, address, n)
		emit, size := theNews(srv)
		return testing.AllocsPerRun(100, func() { a.hear(t, n*size, emit) })
	}
	one, many := allocs(1), allocs(300)
	t.Logf("%.0f allocations for one receiver, %.0f for 300", one, many)
	if many > one+20 {
		t.Errorf("%.0f allocations for one receiver, %.0f for 300", one, many)
	}
}
