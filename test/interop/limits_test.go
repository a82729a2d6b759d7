package interop_test

import (
	"net/http"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// limitedHandshakes limits connections that say in their query that they want to
// be; all other tests come from the same address.
func limitedHandshakes() []func(http.Header, *sio.Request) error {
	limit := ratelimit.Handshakes(2, time.Hour)
	return []func(http.Header, *sio.Request) error{func(h http.Header, r *sio.Request) error {
		if r.Query.Get("limited") == "" {
			return nil
		}
		return limit(h, r)
	}}
}

// limits has an event for each thing that can become of one too many, and
// namespaces that limit who connects.
func limits(srv *sio.Server, n *notes) {
	ns := srv.Of("/limits")
	everywhere(ns, n)
	ok := sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil })
	twice := func(opts ...ratelimit.Option) sio.Middleware { return ratelimit.PerSocket(2, time.Hour, opts...) }
	ns.On("refused", ok, twice())
	ns.On("refused for a moment", ok, ratelimit.PerSocket(1, 100*time.Millisecond))
	ns.On("dropped", ok, twice(ratelimit.Drop()))
	ns.On("cut off", ok, twice(ratelimit.DisconnectAfter(3)))
	ns.On("delayed", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { return n, nil }),
		ratelimit.PerSocket(20, time.Second, ratelimit.Burst(1), ratelimit.Delay(time.Minute)))
	ns.On("weighed", ok, ratelimit.PerSocket(1000, time.Hour, ratelimit.Bytes()))
	ns.On("join", sio.Reply(func(c *sio.Ctx, room string) (string, error) { return "ok", c.Join(room) }), ratelimit.MaxRooms(2))
	ns.On("held", func(c *sio.Ctx) error {
		_, err := sio.EmitWithAck[bool](c.Context(), c.Socket, "may I go on")
		if err != nil {
			return err
		}
		return c.Ack("ok")
	}, ratelimit.InFlight(1))

	claimed := func(s *sio.Socket) string {
		u, _ := name.Get(s)
		return u
	}
	for path, limit := range map[string]sio.Middleware{
		"/limits/connects": ratelimit.PerUser(claimed, 2, time.Hour),
		"/limits/sockets":  ratelimit.MaxPerUser(claimed, 2),
	} {
		names(srv.Of(path))
		everywhere(srv.Of(path), n)
		srv.Of(path).UseConnect(limit)
	}
}
