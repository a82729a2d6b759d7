package interop_test

import (
	"log/slog"
	"slices"

	sio "github.com/sioplug/sioplug/core"
)

// An announcement goes to everybody in one of its rooms who is in none of the others.
type announcement struct {
	To     []string `json:"to"`
	Except []string `json:"except"`
	Text   any      `json:"text"`
	Count  int      `json:"count"`
}

// rooms lets clients join rooms and speak to them.
func rooms(ns *sio.Namespace) {
	ns.On("sync", acknowledge)
	ns.On("join", sio.Reply(func(c *sio.Ctx, rooms []string) (bool, error) {
		return true, c.Join(rooms...)
	}))
	ns.On("leave", sio.Reply(func(c *sio.Ctx, rooms []string) (bool, error) {
		return true, c.Leave(rooms...)
	}))
	ns.On("rooms", sio.Reply(func(c *sio.Ctx, _ struct{}) ([]string, error) {
		return slices.Sorted(slices.Values(c.Rooms())), nil
	}))

	// A socket's broadcasts leave the socket itself out; the namespace's do not.
	ns.On("say", sio.Reply(func(c *sio.Ctx, a announcement) (bool, error) {
		return true, c.To(a.To...).Except(a.Except...).Emit("said", a.Text)
	}))
	ns.On("say to others", sio.Reply(func(c *sio.Ctx, text string) (bool, error) {
		return true, c.Broadcast().Emit("said", text)
	}))
	ns.On("announce", sio.Reply(func(c *sio.Ctx, a announcement) (bool, error) {
		return true, c.Namespace().To(a.To...).Except(a.Except...).Emit("said", a.Text)
	}))
	ns.On("announce alternately", sio.Reply(func(c *sio.Ctx, a announcement) (bool, error) {
		for n := range a.Count {
			var err error
			if n%2 == 0 {
				err = c.Namespace().To(a.To...).Emit("said", n)
			} else {
				err = c.Emit("said", n)
			}
			if err != nil {
				return false, err
			}
		}
		return true, nil
	}))

	// The socket is still in its rooms here.
	ns.OnDisconnect(func(s *sio.Socket, reason sio.Reason) {
		if err := s.To(s.Rooms()...).Emit("gone", s.ID(), reason); err != nil {
			slog.Error("saying goodbye", "err", err) //nolint:sloglint // a test
		}
	})
}
