package interop_test

import (
	"context"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// unhurried has middleware that takes its time, the less the later an event comes,
// so that events would overtake each other if they could.
func unhurried(ns *sio.Namespace) {
	ns.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct{ Refuse, Stay bool }
		if err := c.Bind(&auth); err != nil {
			return err
		}
		switch {
		case auth.Stay: // for as long as the client does
			<-c.Context().Done()
			return context.Cause(c.Context())
		case auth.Refuse:
			pause(c, 50)
			return &sio.Error{Message: "after all, no"}
		default:
			pause(c, 50)
			return nil
		}
	}))
	ns.UseEvents(func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			before, _ := numbers.Get(c.Socket)
			pause(c, 20-len(before))
			return next(c)
		}
	})
	ns.On("number", sio.Bind(receive))
	ns.On("answered number", sio.Reply(func(c *sio.Ctx, n int) (int, error) { return n, receive(c, n) }))
	ns.On("numbers", sio.Reply(received))
	ns.On("answer later", func(c *sio.Ctx) error { // not made by Bind, which acknowledges at once
		var n int
		if err := c.Bind(&n); err != nil {
			return err
		}
		list, _ := pending.Get(c.Socket)
		if list = append(list, c); len(list) < n {
			pending.Set(c.Socket, list)
			return nil
		}
		for i := range list { // the last one first
			if err := list[len(list)-1-i].Ack(i); err != nil {
				return err
			}
		}
		return nil
	})
}

// pending are events that wait for their acks.
var pending = sio.NewKey[[]*sio.Ctx]("pending")

// pause waits some milliseconds, unless the client goes.
func pause(c *sio.Ctx, milliseconds int) {
	if milliseconds <= 0 {
		return
	}
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
	case <-c.Context().Done():
	}
}
