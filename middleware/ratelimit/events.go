package ratelimit

import (
	"context"
	"slices"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// MaxRooms is for events with which a client joins one room. It refuses the event if the
// socket is in n rooms already, without the room of its id and the rooms of
// [sio.Socket.Pin]. If an event has a list of rooms, use [Join] in its handler.
func MaxRooms(n int, opts ...Option) sio.Middleware {
	if n <= 0 {
		misuse.Panic("ratelimit: MaxRooms has to be above 0")
	}
	g := newGuard("rooms", opts)
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			if len(otherRooms(c.Socket)) >= n {
				return g.refuse(c, Refusal{Key: c.ID()}, codeRooms)
			}
			return next(c)
		}
	}
}

// Join makes a socket join all of the rooms. If it would then be in more than n rooms, it
// joins none of them. It counts as [MaxRooms] does, and returns such an error for the
// client.
func Join(s *sio.Socket, n int, rooms ...string) error {
	all := otherRooms(s)
	for _, r := range rooms {
		if r == s.ID() || slices.Contains(all, r) {
			continue
		}
		if len(all) >= n {
			return &sio.Error{Message: codeRooms.message(), Data: data{Code: codeRooms}}
		}
		all = append(all, r)
	}
	return s.Join(rooms...)
}

// otherRooms returns the rooms of a socket without the room of its id.
func otherRooms(s *sio.Socket) []string {
	return slices.DeleteFunc(s.Rooms(), func(r string) bool { return r == s.ID() })
}

// InFlight limits how many handlers of its events run at the same time, for all sockets
// together. It protects a resource that the handlers use. If n handlers run, further
// events are refused, or wait with [Delay]. [sio.Options.MaxPendingEvents] limits the
// events of one socket that wait for their handlers.
func InFlight(n int, opts ...Option) sio.Middleware {
	if n <= 0 {
		misuse.Panic("ratelimit: InFlight has to be above 0")
	}
	g := newGuard("in flight", opts)
	slots := make(chan struct{}, n)
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			switch ok, err := g.acquireSlot(c, slots); {
			case err != nil:
				return err
			case !ok:
				return g.refuse(c, Refusal{Key: c.Namespace().Name()}, codeBusy)
			}
			defer func() { <-slots }()
			return next(c)
		}
	}
}

// acquireSlot takes a slot and reports whether it got one. It waits for a slot as long as
// the options say.
func (g *guard) acquireSlot(c *sio.Ctx, slots chan<- struct{}) (bool, error) {
	select {
	case slots <- struct{}{}:
		return true, nil
	default:
	}
	if g.maxWait <= 0 {
		return false, nil
	}
	timer := time.NewTimer(g.maxWait)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-c.Context().Done():
		return false, context.Cause(c.Context())
	}
}
