package sio_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSIO_CSR_9_RefusedWhenTheyComeBack(t *testing.T) {
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{RunMiddlewares: true}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		banned := false
		srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
			if banned {
				return &sio.Error{Message: "banned"}
			}
			return nil
		}))
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		must(t, srv.Emit("missed"))
		banned = true
		c := d.WebSocket(t)
		c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
		c.Want(`44{"message":"banned"}`) // and nothing of what it missed
	})
}

func TestMiddlewareThatInsistsIsAskedAgain(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var happened story
		banned := false
		insist := func(name string) sio.Middleware {
			check := func(c *sio.Ctx) error {
				happened.add("%s %v %v", name, c.Recovered(), c.Connected())
				if banned {
					return &sio.Error{Message: "banned by " + name}
				}
				return nil
			}
			return sio.Guard(func(c *sio.Ctx) error {
				c.OnRecover(check)
				return check(c)
			})
		}
		srv.UseConnect(insist("first"), insist("second"))
		v := arrive(t, srv, d.WebSocket(t))
		for range 2 { // each time, and in order
			v.Abort()
			synctest.Wait()
			v.connect(t, d.WebSocket(t))
		}
		happened.want(t, "first false false", "second false false", "first true false", "second true false",
			"first true false", "second true false")
		v.Abort()
		synctest.Wait()
		must(t, srv.Emit("missed"))
		banned = true
		c := d.WebSocket(t)
		c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
		c.Want(`44{"message":"banned by first"}`) // and nothing of what it missed
	})
}

func TestWhatMiddlewareLeavesForAcceptedClients(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var happened story
		failing := false
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			c.OnAccept(func(c *sio.Ctx) error {
				happened.add("accepted %v %v", c.Recovered(), c.Connected())
				if failing {
					return &sio.Error{Message: "changed my mind"}
				}
				return nil
			})
			if c.Handshake().Auth == nil {
				return &sio.Error{Message: "no"}
			}
			return nil
		}))
		srv.OnConnect(func(*sio.Ctx) error { happened.add("connected"); return nil })
		refused := d.WebSocket(t)
		refused.Send("40")
		refused.Want(`44{"message":"no"}`)
		d.WebSocket(t).Connect("/", "{}")
		synctest.Wait()
		happened.want(t, "accepted false true", "connected")
		failing = true
		c := d.WebSocket(t)
		c.Connect("/", "{}")
		c.Want("41")
		happened.want(t, "accepted false true", "connected", "accepted false true")
	})
}

func TestHooksAreForTheConnectChain(t *testing.T) {
	bubble(t, &sio.Options{Logger: slog.New(slog.DiscardHandler)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		nothing := func(*sio.Ctx) error { return nil }
		for name, hook := range map[string]func(*sio.Ctx){
			"accept":  func(c *sio.Ctx) { c.OnAccept(nothing) },
			"recover": func(c *sio.Ctx) { c.OnRecover(nothing) },
		} {
			srv.On(name, func(c *sio.Ctx) error {
				hook(c)
				return c.Ack()
			})
		}
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`420["accept"]`, `421["recover"]`)
		c.Want(`430[{"error":{"message":"internal error"}}]`, `431[{"error":{"message":"internal error"}}]`)
	})
}
