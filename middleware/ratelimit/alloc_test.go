//go:build !race

package ratelimit_test

import (
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// A limit that is not reached costs no garbage, or next to none; one that is
// exceeded no more than the error.
func TestAllocationsOfALimit(t *testing.T) {
	c := ctxOverLoopback(t)
	for name, tt := range map[string]struct {
		mw   sio.Middleware
		most float64
	}{
		"PerSocket, allowed": {ratelimit.PerSocket(1<<40, time.Hour), 0},
		"PerSocket, refused": {ratelimit.PerSocket(1, time.Hour), 2},
		"PerSocket, dropped": {ratelimit.PerSocket(1, time.Hour, ratelimit.Drop()), 2},
		"PerIP, allowed":     {ratelimit.PerIP(1<<40, time.Hour), 0},
		"PerIP, refused":     {ratelimit.PerIP(1, time.Hour), 2},
		"PerEvent, allowed":  {ratelimit.PerEvent(1<<40, time.Hour), 1},
		"MaxRooms, allowed":  {ratelimit.MaxRooms(5), 1},
		"InFlight, allowed":  {ratelimit.InFlight(5), 0},
	} {
		h := tt.mw(func(*sio.Ctx) error { return nil })
		_ = h(c)
		if allocs := testing.AllocsPerRun(1000, func() { _ = h(c) }); allocs > tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", name, allocs, tt.most)
		}
	}
}

// A flood must not gain by being refused: without acks that costs the server as
// much as a handler that does nothing, and the error; with acks, the text of it.
func TestAllocationsOfARefusedEvent(t *testing.T) {
	srv := sio.New(nil)
	t.Cleanup(func() { _ = srv.Shutdown(t.Context()) })
	srv.On("handled", answer, ratelimit.PerSocket(1<<40, time.Hour))
	srv.On("refused", answer, ratelimit.PerSocket(1, time.Hour))
	c := siotest.Loopback(t, srv).WebSocket(t)
	c.Connect("/", "")
	allocs := func(packets ...string) float64 {
		return testing.AllocsPerRun(1000, func() {
			c.Send(packets...)
			c.Next()
		})
	}
	c.Send(`42["refused"]`, `42["refused"]`) // an event tells once, so that there is no more of that
	c.Next()
	one := allocs(`421["handled"]`)
	for name, tt := range map[string]struct {
		got, want, most float64
	}{
		"with an ack":    {allocs(`421["refused"]`), one, 3},
		"without an ack": {allocs(`42["refused"]`, `421["handled"]`), allocs(`42["handled"]`, `421["handled"]`), 2},
	} {
		if tt.got > tt.want+tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f more than the %.0f of a handled one", name, tt.got, tt.most, tt.want)
		}
	}
}
