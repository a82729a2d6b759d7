package sio_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// kickable has events by which a client has itself thrown out.
func kickable(n *sio.Namespace) {
	n.On("disconnect me", func(c *sio.Ctx) error { return c.Disconnect() })
	n.On("close me", func(c *sio.Ctx) error { return c.Close() })
}

func TestSIO_DC_1_ServerDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		chat := srv.Of("/chat")
		why := reasons(chat)
		kickable(chat)
		echo(chat)
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		first := c.Connect("/chat", "")
		c.Send(`42/chat,["disconnect me"]`)
		c.Want("41/chat,")
		mustReason(t, why, sio.ReasonServerNamespaceDisconnect)
		mustEcho(t, c) // SIO-DC-15
		if again := c.Connect("/chat", ""); again == first {
			t.Error("the same id again")
		}
		c.Send(`42/chat,["echo",1]`)
		c.Want(`42/chat,["echo",1]`)
	})
}

func TestSIO_DC_2_ServerCloses(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		chatWhy := reasons(srv.Of("/chat"))
		kickable(srv.Namespace)
		for name, open := range map[string]func() *siotest.Client{
			"websocket": func() *siotest.Client { return d.WebSocket(t) },
			"polling":   func() *siotest.Client { return d.Polling(t) },
		} {
			c := open()
			c.Connect("/", "")
			c.Connect("/chat", "")
			c.Send(`42["close me"]`)
			before := c.UntilClosed()
			slices.Sort(before)
			if !slices.Equal(before, []string{"41", "41/chat,"}) {
				t.Errorf("%s: got %q", name, before)
			}
			mustReason(t, why, sio.ReasonServerNamespaceDisconnect)
			mustReason(t, chatWhy, sio.ReasonServerNamespaceDisconnect)
		}
	})
}

func TestSIO_DC_3_ClientDisconnects(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		echo(srv.Namespace)
		echo(srv.Of("/chat"))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Connect("/chat", "")
		c.Send("41")
		mustReason(t, why, sio.ReasonClientNamespaceDisconnect)
		c.Send(`42/chat,["echo",1]`)
		c.Want(`42/chat,["echo",1]`) // and nothing before
		c.Connect("/", "")
		mustEcho(t, c)
	})
}

func TestSIO_DC_4_DC_5_DC_15_TheSessionEnds(t *testing.T) {
	for want, end := range map[sio.Reason]func(c *siotest.Client){
		sio.ReasonTransportClose: (*siotest.Client).Abort,
		sio.ReasonParseError:     func(c *siotest.Client) { c.Send("x") },
		sio.ReasonForcedClose:    func(c *siotest.Client) { c.Send("4abc") }, // SIO-DC-5
		sio.ReasonTransportError: func(c *siotest.Client) { c.Send("2") },    // a ping, which revision 4 clients do not send
	} {
		t.Run(string(want), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				why, chatWhy := reasons(srv.Namespace), reasons(srv.Of("/chat"))
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Connect("/chat", "")
				end(c)
				mustReason(t, why, want)
				mustReason(t, chatWhy, want) // SIO-DC-15
				c.Abort()
				synctest.Wait()
				if n := srv.ClientsCount(); n != 0 {
					t.Errorf("%d clients left", n)
				}
			})
		})
	}
}

func TestSIO_DC_17_WhatIsBehindTheReason(t *testing.T) {
	for want, end := range map[string]func(c *siotest.Client){
		"sio: disconnected: transport close: EOF":              (*siotest.Client).Abort,
		"sio: disconnected: forced close: unknown packet type": func(c *siotest.Client) { c.Send("4abc") },
		"sio: disconnected: client namespace disconnect":       func(c *siotest.Client) { c.Send("41") },
		"sio: disconnected: ping timeout":                      func(*siotest.Client) {},
	} {
		t.Run(want, func(t *testing.T) {
			withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
				end(c)
				<-s.Context().Done()
				why, ok := errors.AsType[*sio.DisconnectError](context.Cause(s.Context()))
				if !ok || !strings.HasPrefix(why.Error(), want) || (why.Err != nil) != (strings.Count(want, ":") > 2) {
					t.Errorf("%v, want %s", why, want)
				}
				c.Abort()
			})
		})
	}
}

func TestSIO_DC_4_PingTimeoutIsExact(t *testing.T) {
	opts := &sio.Options{PingInterval: 3 * time.Second, PingTimeout: 2 * time.Second}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		start := time.Now()
		got := <-why // the client does not read, and so does not answer
		if took := time.Since(start); got != sio.ReasonPingTimeout || took != 5*time.Second {
			t.Errorf("%q after %v", got, took)
		}
	})
}

func TestSIO_DC_10_RoomsAreThereInOnDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		var gone *sio.Socket
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a", "b") })
		srv.OnDisconnect(func(c *sio.Socket, _ sio.Reason) {
			gone = c
			s.add("%d rooms, connected: %v", len(c.Rooms()), c.Connected())
			must(t, c.To("a").Emit("goodbye", c.ID()))
			must(t, srv.To("b").Emit("he has gone"))
		})
		srv.OnDisconnect(func(c *sio.Socket, _ sio.Reason) { s.add("still %d rooms", len(c.Rooms())) })
		kickable(srv.Namespace)
		for name, leave := range map[string]func(c *siotest.Client){
			"client disconnects": func(c *siotest.Client) { c.Send("41") },
			"server disconnects": func(c *siotest.Client) { c.Send(`42["disconnect me"]`) },
			"connection lost":    (*siotest.Client).Abort,
		} {
			stays := d.WebSocket(t)
			stays.Connect("/", "")
			leaves := d.WebSocket(t)
			id := leaves.Connect("/", "")
			synctest.Wait() // both have joined
			leave(leaves)
			stays.Want(`42["goodbye","`+id+`"]`, `42["he has gone"]`)
			synctest.Wait()
			if rooms := gone.Rooms(); rooms != nil {
				t.Errorf("%s: rooms %q afterwards", name, rooms)
			}
			must(t, srv.To("a", "b", id).Emit("end"))
			stays.Want(`42["end"]`)
			leaves.Abort()
			stays.Abort()
			synctest.Wait()
		}
		for i, line := range s.told() {
			if want := []string{"3 rooms, connected: false", "still 3 rooms"}[i%2]; line != want {
				t.Errorf("%d: %s, want %s", i, line, want)
			}
		}
		if n := len(s.told()); n != 12 {
			t.Errorf("%d calls of OnDisconnect", n)
		}
	})
}

func TestSIO_DC_11_OnlyOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { s.add("%s", r) })
		srv.On("event", func(c *sio.Ctx) error {
			must(t, c.Disconnect())
			if err := c.Disconnect(); !errors.Is(err, sio.ErrDisconnected) {
				t.Errorf("second Disconnect: %v", err)
			}
			return c.Close()
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["event"]`)
		if before := c.UntilClosed(); !slices.Equal(before, []string{"41"}) {
			t.Errorf("got %q", before)
		}
		synctest.Wait()
		s.want(t, "server namespace disconnect")
	})
}

func TestSIO_DC_12_DC_13_EM_18_NothingIsSentAfterDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("event", func(c *sio.Ctx) error {
			must(t, c.Disconnect())
			_, ask := c.EmitWithAck(context.Background(), "x")
			for what, err := range map[string]error{
				"Emit": c.Emit("x"), "EmitVolatile": c.EmitVolatile("x"), "EmitWithAck": ask,
				"Join": c.Join("room"), "Leave": c.Leave("room"), "Ack": c.Ack(1),
			} {
				if why, ok := errors.AsType[*sio.DisconnectError](err); !errors.Is(err, sio.ErrDisconnected) ||
					!ok || why.Reason != sio.ReasonServerNamespaceDisconnect {
					t.Errorf("%s: %v", what, err)
				}
			}
			return srv.To(c.ID(), "room").Emit("x")
		})
		echo(srv.Of("/chat"))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Connect("/chat", "")
		c.Send(`421["event"]`)
		c.Want("41")
		c.Send(`42/chat,["echo",1]`)
		c.Want(`42/chat,["echo",1]`)
	})
}

// The reference drops an event that is followed at once by DISCONNECT; here
// what a client sent before it left is handled (SIO-DC-14 allows both).
func TestSIO_DC_14_EventsBeforeTheClientsGoodbyeAreHandled(t *testing.T) {
	for name, goodbye := range map[string]string{"disconnect": "41", "close": "1"} {
		for transport, open := range transports() {
			t.Run(name+"/"+transport, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					var s story
					srv.On("event", sio.Bind(func(_ *sio.Ctx, n int) error {
						time.Sleep(time.Second)
						s.add("event %d", n)
						return nil
					}))
					srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
					c := open(t, d)
					c.Connect("/", "")
					c.Send(`42["event",1]`, `42["event",2]`, goodbye)
					time.Sleep(time.Minute)
					s.want(t, "event 1", "event 2", "disconnected")
				})
			})
		}
	}
}

func TestServerDisconnectDropsWaitingEvents(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.On("event", sio.Bind(func(c *sio.Ctx, n int) error {
			s.add("event %d", n)
			time.Sleep(time.Second) // the others are there now
			return c.Disconnect()
		}))
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["event",1]`, `42["event",2]`, `42["event",3]`)
		c.Want("41")
		synctest.Wait()
		s.want(t, "event 1", "disconnected")
	})
}

func TestOnDisconnectFollowsTheRunningHandler(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.On("event", func(c *sio.Ctx) error {
			<-c.Context().Done()
			time.Sleep(time.Second)
			s.add("handler returns")
			return nil
		})
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["event"]`)
		synctest.Wait()
		c.Abort()
		time.Sleep(time.Minute)
		s.want(t, "handler returns", "disconnected")
	})
}

// A client may come back to a namespace before its last socket there has run
// its OnDisconnect.
func TestReconnectWhileTheLastHandlerRuns(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.OnConnect(func(*sio.Ctx) error { s.add("connected"); return nil })
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
		srv.On("slow", func(*sio.Ctx) error { time.Sleep(time.Minute); s.add("slow"); return nil })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["slow"]`)
		synctest.Wait()
		c.Send("41")
		c.Connect("/", "")
		mustEcho(t, c)
		c.Close()
		time.Sleep(time.Hour)
		s.want(t, "connected", "connected", "disconnected", "slow", "disconnected")
	})
}
