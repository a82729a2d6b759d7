package ratelimit

import (
	"context"
	"slices"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// MaxRooms is for events by which clients join one room: it refuses them for a
// socket that is in n rooms already, other than that of its id. Where an event has
// a list of rooms, use [Join] in its handler.
func MaxRooms(n int, opts ...Option) sio.Middleware {
	if n <= 0 {
		misuse("MaxRooms has to be above 0")
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

// Join has a socket join the rooms, all of them or none: none if it would be in
// more than n then, other than that of its id. The error is for the client, as that
// of [MaxRooms].
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

// others returns the rooms of a socket other than that of its id.
func otherRooms(s *sio.Socket) []string {
	return slices.DeleteFunc(s.Rooms(), func(r string) bool { return r == s.ID() })
}

// InFlight allows n of the events that it is for to be handled at the same time,
// whoever sent them: it protects what their handlers use. Others are refused, or
// wait with [Delay]. How many events of one socket wait for their handlers is up to
// [sio.Options.MaxPendingEvents].
func InFlight(n int, opts ...Option) sio.Middleware {
	if n <= 0 {
		misuse("InFlight has to be above 0")
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

// enter takes a slot, for which it waits as long as the options say, and reports
// whether it got one.
func (g *guard) acquireSlot(c *sio.Ctx, slots chan<- struct{}) (bool, error) {
	select {
	case slots <- struct{}{}:
		return true, nil
	default:
	}
	if g.patience <= 0 {
		return false, nil
	}
	timer := time.NewTimer(g.patience)
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
