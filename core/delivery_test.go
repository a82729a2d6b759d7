package sio_test

import (
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// These are promises of docs/delivery.md that no other test is about.

func TestEventsOnTheirWayAreLostWithTheConnection(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		echo(srv.Namespace)
		c := d.Polling(t)
		c.Connect("/", "")
		s := srv.Broadcast().Sockets()[0]
		must(t, s.Emit("lost")) // nobody polls
		c.Send("1")
		mustReason(t, why, sio.ReasonTransportClose)
		if err := s.Emit("refused"); err == nil {
			t.Error("an event to a client that has gone is accepted")
		}
		c = d.Polling(t)
		c.Connect("/", "")
		mustEcho(t, c) // and nothing came before
	})
}

func TestEventsThatHaveComeAreHandledAlthoughTheClientHasGone(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				srv.On("event", sio.Bind(func(_ *sio.Ctx, n int) error {
					time.Sleep(time.Second)
					s.add("event %d", n)
					return nil
				}))
				srv.OnDisconnect(func(_ *sio.Socket, reason sio.Reason) { s.add("%s", reason) })
				c := open(t, d)
				c.Connect("/", "")
				c.Send(`42["event",1]`, `42["event",2]`, `42["event",3]`)
				synctest.Wait()
				c.Close()
				time.Sleep(time.Minute)
				s.want(t, "event 1", "event 2", "event 3", "transport close")
			})
		})
	}
}
