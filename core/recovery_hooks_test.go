package sio_test

import (
	"fmt"
	"log/slog"
	"strings"
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

func TestOnEnd(t *testing.T) {
	log := new(logbook)
	opts := &sio.Options{Logger: slog.New(log), ConnectionStateRecovery: &sio.Recovery{}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var happened story
		sockets := make(chan *sio.Socket, 1)
		banned := true
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			c.OnEnd(func() { happened.add("end, %d rooms", len(c.Rooms())) })
			c.OnAccept(func(c *sio.Ctx) error {
				c.OnEnd(func() { happened.add("end of an accepted one") })
				return nil
			})
			sockets <- c.Socket
			if banned {
				return &sio.Error{Message: "banned"}
			}
			return nil
		}))
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { happened.add("disconnect") })
		c := d.WebSocket(t)
		c.Send("40")
		c.Want(`44{"message":"banned"}`)
		synctest.Wait()
		happened.want(t, "end, 0 rooms")
		if s := <-sockets; s.OnEnd(func() { t.Error("called") }) {
			t.Error("it came too late, and nobody said so")
		}

		banned = false
		v := arrive(t, srv, c)
		s := <-sockets
		s.OnEnd(func() { panic("a bug") })
		s.OnEnd(func() { happened.add("end once more") })
		v.Abort()
		synctest.Wait()
		want := []string{"end, 0 rooms", "disconnect", "end, 0 rooms", "end of an accepted one", "end once more"}
		happened.want(t, want...)
		if lines := log.above(); len(lines) != 1 || !strings.HasPrefix(lines[0], "ERROR function of OnEnd failed") {
			t.Errorf("logged %q", lines)
		}

		v.connect(t, d.WebSocket(t)) // what was left on the first socket is not the second one's
		v.Abort()
		synctest.Wait()
		happened.want(t, append(want, "disconnect", "end of an accepted one")...)
	})
}

// A check may say that a client is not who it was: then it is a new one, and not refused.
func TestAClientThatMayNotContinueItsSessionBeginsAnew(t *testing.T) {
	for name, running := range map[string]bool{"skipping the chain": false, "running it": true} {
		t.Run(name, func(t *testing.T) {
			log := new(logbook)
			opts := &sio.Options{Logger: slog.New(log), ConnectionStateRecovery: &sio.Recovery{RunMiddlewares: running}}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var happened story
				changed := false
				check := func(c *sio.Ctx) error {
					happened.add("check %v", c.Recovered())
					if changed && c.Recovered() {
						return fmt.Errorf("another user: %w", sio.ErrNotRecovered)
					}
					return nil
				}
				srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
					c.OnRecover(check)
					c.OnAccept(func(*sio.Ctx) error { happened.add("accepted"); return nil })
					return check(c)
				}))
				srv.OnConnect(func(c *sio.Ctx) error { happened.add("connected %v", c.Recovered()); return nil })
				v := arrive(t, srv, d.WebSocket(t))
				must(t, srv.To(v.id).Join("hers"))
				v.Abort()
				synctest.Wait()
				must(t, srv.To("hers").Emit("secret"))
				changed = true
				id, pid := v.id, v.pid
				if missed := v.connect(t, d.WebSocket(t)); len(missed) > 0 || v.id == id || v.pid == pid {
					t.Errorf("missed %q, same id %v, same private id %v", missed, v.id == id, v.pid == pid)
				}
				must(t, srv.To("hers", id).Emit("secret"))
				must(t, srv.To(v.id).Emit("news"))
				v.want(t, `42["news"]`)
				happened.want(t, "check false", "accepted", "connected false",
					"check true", "check false", "accepted", "connected false")
				if line := log.one(t, "session not recovered"); !strings.HasPrefix(line, "DEBUG") || !strings.Contains(line, "another user") {
					t.Errorf("logged %s", line)
				}
				log.mustBeQuiet(t)
				v.pid, v.offset, v.id = pid, "x", id // nobody continues it any more
				v.Abort()
				synctest.Wait()
				if v.connect(t, d.WebSocket(t)); v.id == id {
					t.Error("recovered later")
				}
			})
		})
	}
}

// Other errors refuse a client, also those whose methods fail.
func TestAClientThatMayNotConnectAtAllIsRefused(t *testing.T) {
	bubble(t, &sio.Options{Logger: slog.New(new(logbook)), ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var refuse error
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			c.OnRecover(func(*sio.Ctx) error { return refuse })
			return nil
		}))
		for _, refuse = range []error{&sio.Error{Message: "internal error"}, brokenError{}} {
			v := arrive(t, srv, d.WebSocket(t))
			v.Abort()
			synctest.Wait()
			c := d.WebSocket(t)
			c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
			c.Want(`44{"message":"internal error"}`)
		}
	})
}

// A brokenError has methods that panic.
type brokenError struct{}

func (brokenError) Error() string { panic("Error") }
func (brokenError) Is(error) bool { panic("Is") }
