package sio_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Middleware that does not want a session to be continued has the client begin a new
// one, with the whole connect chain, and with nothing of the old one.
func TestMiddlewareCouldNotDeclineARecovery(t *testing.T) {
	for _, runs := range []bool{false, true} {
		opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{RunMiddlewares: runs}}
		bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			nick := sio.NewKey[string]("nick")
			places, let := 0, 0
			decline := func(c *sio.Ctx) error {
				if c.Recovered() {
					return fmt.Errorf("somebody else: %w", sio.ErrNotRecovered)
				}
				return nil
			}
			take := func(c *sio.Ctx) error {
				places++
				c.OnEnd(func() { places-- })
				return nil
			}
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
				c.OnRecover(take)
				c.OnRecover(decline)
				if err := take(c); err != nil {
					return err
				}
				return decline(c)
			}), sio.Guard(func(c *sio.Ctx) error {
				if _, ok := nick.Get(c.Socket); ok {
					t.Error("it has the values of the former socket")
				}
				nick.Set(c.Socket, "x")
				let++
				return nil
			}))
			srv.OnConnect(func(c *sio.Ctx) error {
				if let == 1 {
					return c.Join("secrets")
				}
				if c.Recovered() || len(c.Rooms()) != 1 || places != 1 {
					t.Errorf("recovered %v, rooms %q, %d places", c.Recovered(), c.Rooms(), places)
				}
				return nil
			})
			var v visitor
			v.connect(t, d.WebSocket(t))
			synctest.Wait()
			must(t, srv.Emit("news"))
			v.want(t, `42["news"]`)
			v.Abort()
			synctest.Wait()
			must(t, srv.To("secrets").Emit("secret"))
			was := v
			if missed := v.connect(t, d.WebSocket(t)); len(missed) > 0 || v.id == was.id || v.pid == was.pid {
				t.Errorf("missed %q, id %s, was %s", missed, v.id, was.id)
			}
			synctest.Wait()
			if let != 2 {
				t.Errorf("the chain ran %d times", let)
			}
			v.Abort()
			synctest.Wait()
			if places != 0 {
				t.Errorf("%d places are left", places)
			}
		})
	}
}

// For a client that recovers nothing, it is an error like others.
func TestDecliningWhereThereIsNothingToRecover(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
			return &sio.Error{Message: "no", Err: sio.ErrNotRecovered}
		}))
		c := d.WebSocket(t)
		c.Send("40")
		c.Want(`44{"message":"no"}`)
	})
}
