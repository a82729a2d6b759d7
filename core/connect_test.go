package sio_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// step returns middleware that tells when it runs.
func step(s *story, name string) sio.Middleware {
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			s.add("%s", name)
			return next(c)
		}
	}
}

func TestSIO_CN_1_HandshakeAloneIsNoSocket(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(step(&s, "connect"))
		d.WebSocket(t)
		synctest.Wait()
		s.want(t)
		if n := srv.ClientsCount(); n != 1 {
			t.Errorf("%d clients", n)
		}
	})
}

func TestSIO_CN_1_ConnectTimeoutIsExact(t *testing.T) {
	for name, tt := range map[string]struct {
		opts *sio.Options
		want time.Duration
	}{
		"default": {&sio.Options{PingInterval: time.Hour}, 45 * time.Second},
		"option":  {&sio.Options{PingInterval: time.Hour, ConnectTimeout: 7 * time.Second}, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, tt.opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				echo(srv.Namespace)
				joined := d.WebSocket(t)
				joined.Connect("/", "")
				start := time.Now()
				c := d.WebSocket(t)
				if before := c.UntilClosed(); len(before) > 0 {
					t.Errorf("got %q", before)
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("closed after %v, want %v", took, tt.want)
				}
				mustEcho(t, joined)
			})
		})
	}
}

func TestSIO_BAD_5_MW_7_ConnectTimeoutEndsAChainThatTakesTooLong(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			<-c.Context().Done()
			s.add("given up")
			return c.Context().Err()
		}))
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
		c := d.WebSocket(t, "40")
		if before := c.UntilClosed(); len(before) > 0 {
			t.Errorf("got %q", before)
		}
		synctest.Wait()
		s.want(t, "given up")
	})
}

func TestSIO_CN_2_AuthPayload(t *testing.T) {
	type login struct {
		Token string `json:"token"`
	}
	for name, tt := range map[string]struct {
		auth, raw, token string
	}{
		"object": {`{"token":"` + secret + `"}`, `{"token":"` + secret + `"}`, secret},
		"none":   {"", "", ""},
		"empty":  {"{}", "{}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
					l := login{}
					m := map[string]any(nil)
					if err := c.Bind(&l); err != nil || l.Token != tt.token {
						t.Errorf("token %q, error %v", l.Token, err)
					}
					if err := c.Bind(&m); err != nil || m == nil {
						t.Errorf("object %v, error %v", m, err)
					}
					if got := string(c.Handshake().Auth); got != tt.raw {
						t.Errorf("Auth is %q", got)
					}
					if c.Event() != "connect" || c.WantsAck() || c.Len() != 1 {
						t.Errorf("event %q, wants an ack: %v, %d arguments", c.Event(), c.WantsAck(), c.Len())
					}
					return c.Bind() // nothing is fine too
				}))
				d.WebSocket(t).Connect("/", tt.auth)
			})
		})
	}
}

func TestSIO_CN_2_AuthOfTheWrongShapeIsRefused(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			var l struct {
				Token int `json:"token"`
			}
			return c.Bind(&l)
		}))
		c := d.WebSocket(t)
		c.Send(`40{"token":"` + secret + `"}`)
		c.Want(`44{"message":"invalid payload"}`)
	})
}

func TestSIO_CN_3_UnknownNamespace(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Namespace)
		srv.Of("/admin")
		c := d.WebSocket(t)
		c.Send("40/random,")
		c.Want(`44/random,{"message":"Invalid namespace"}`)
		for _, name := range []string{"/admin?x=1", "/Admin", "/admin/", `/admin{"a":1}`} { // SIO-NS-3
			c.Send("40" + name + ",")
			c.Want("44" + name + `,{"message":"Invalid namespace"}`)
		}
		c.Connect("/", "")
		mustEcho(t, c)
	})
}

func TestSIO_CN_5_MW_5_SocketBeforeItIsConnected(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var id string
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			id = c.ID()
			if c.Connected() || c.Rooms() != nil {
				t.Errorf("connected: %v, rooms %q", c.Connected(), c.Rooms())
			}
			return srv.Emit("not for you") // not in the namespace yet
		}))
		c := d.WebSocket(t)
		got := c.Connect("/", "")
		if got != id || got == c.SID() || !regexp.MustCompile(`^[\w-]{20}$`).MatchString(got) {
			t.Errorf("id %q, was %q, session's %q", got, id, c.SID())
		}
	})
}

func TestSIO_CN_6_MW_1_MW_2_NS_5_ConnectMiddlewareInOrder(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(step(&s, "one"), step(&s, "two"))
		srv.UseConnect(step(&s, "three"))
		srv.OnConnect(func(*sio.Ctx) error { s.add("first OnConnect"); return nil })
		srv.OnConnect(func(*sio.Ctx) error { s.add("second OnConnect"); return nil })
		srv.Of("/chat").UseConnect(step(&s, "chat"))
		c := d.WebSocket(t)
		c.Connect("/", "")
		synctest.Wait()
		c.Connect("/chat", "")
		synctest.Wait()
		s.want(t, "one", "two", "three", "first OnConnect", "second OnConnect", "chat") // SIO-MW-2
	})
}

func TestSIO_MW_4_MiddlewareIsThatOfTheBeginning(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
			srv.UseConnect(step(&s, "later"))
			return nil
		}))
		c := d.WebSocket(t)
		c.Connect("/", "")
		synctest.Wait()
		s.want(t)
		d.WebSocket(t).Connect("/", "")
		synctest.Wait()
		s.want(t, "later")
	})
}

func TestSIO_CN_7_MW_3_RefusedMayTryAgain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		refuse := true
		ids := map[string]bool{}
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			ids[c.ID()] = true
			if refuse {
				return &sio.Error{Message: "not yet"}
			}
			return nil
		}), step(&s, "behind"))
		srv.OnConnect(func(*sio.Ctx) error { s.add("connected"); return nil })
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		for range 3 {
			c.Send("40")
			c.Want(`44{"message":"not yet"}`)
		}
		synctest.Wait()
		s.want(t)
		refuse = false
		c.Connect("/", "")
		mustEcho(t, c)
		s.want(t, "behind", "connected")
		if len(ids) != 4 {
			t.Errorf("%d ids for 4 sockets", len(ids))
		}
	})
}

func TestSIO_CN_8_MW_6_GoneWhileTheChainRuns(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			<-c.Context().Done()
			time.Sleep(time.Second) // it accepts when the client has gone for long
			return nil
		}))
		srv.OnConnect(func(*sio.Ctx) error { s.add("connected"); return nil })
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
		c := d.WebSocket(t, "40")
		synctest.Wait()
		c.Abort()
		time.Sleep(time.Minute)
		s.want(t)
	})
}

func TestSIO_CN_9_MW_5_Connected(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error {
			if !c.Connected() || !slices.Equal(c.Rooms(), []string{c.ID()}) {
				t.Errorf("connected: %v, rooms %q", c.Connected(), c.Rooms())
			}
			return srv.To(c.ID()).Emit("by room")
		})
		c := d.WebSocket(t)
		c.Connect("/", "") // SIO-CN-10: before what the handler emits
		c.Want(`42["by room"]`)
	})
}

func TestSIO_CN_10_CN_17_OnConnectBeforeTheFirstEvent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.OnConnect(func(c *sio.Ctx) error {
			must(t, c.Emit("one"))
			time.Sleep(time.Second)
			s.add("connected")
			return c.Emit("two")
		})
		srv.On("event", func(*sio.Ctx) error { s.add("event"); return nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["event"]`) // SIO-CN-17: right after the answer, while OnConnect runs
		c.Want(`42["one"]`, `42["two"]`)
		synctest.Wait()
		s.want(t, "connected", "event")
	})
}

// The reference writes what middleware emits before the answer and lets it
// join rooms. Here both is an error, so that a refusal leaves nothing behind.
func TestSIO_CN_11_CN_12_EM_18_NothingIsSentOrJoinedBeforeAcceptance(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			_, ask := c.EmitWithAck(c.Context(), "x")
			for what, err := range map[string]error{
				"Emit": c.Emit("x"), "EmitVolatile": c.EmitVolatile("x"), "EmitWithAck": ask,
				"Join": c.Join("room"), "Leave": c.Leave("room"), "Disconnect": c.Disconnect(),
			} {
				if !errors.Is(err, sio.ErrNotConnected) {
					t.Errorf("%s: %v", what, err)
				}
			}
			return nil
		}))
		c := d.WebSocket(t)
		id := c.Connect("/", "")
		must(t, srv.To("room").Emit("nobody"))
		must(t, srv.To(id).Emit("end"))
		c.Want(`42["end"]`)
	})
}

func TestSIO_CN_13_SecondConnectWhileTheFirstIsDecided(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { <-c.Context().Done(); return nil }))
		srv.OnConnect(func(*sio.Ctx) error { s.add("connected"); return nil })
		c := d.WebSocket(t, "40", "40")
		if before := c.UntilClosed(); len(before) > 0 {
			t.Errorf("got %q", before)
		}
		synctest.Wait()
		s.want(t)
	})
}

func TestSIO_CN_14_NextTwiceConnectsOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error { return errors.Join(next(c), next(c)) }
		})
		srv.OnConnect(func(*sio.Ctx) error { s.add("connected"); return nil })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		mustEcho(t, c)
		s.want(t, "connected")
	})
}

func TestSIO_CN_15_CN_16_NamespacesShareASession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("in /") })
		rooms := func(c *sio.Ctx) error { return c.Ack(strings.Join(c.Rooms(), " ")) }
		srv.On("rooms", rooms)
		srv.Of("/admin").On("rooms", rooms)
		c := d.WebSocket(t)
		admin := c.Connect("/admin", "")
		root := c.Connect("/", "")
		if admin == root {
			t.Error("two sockets have one id")
		}
		c.Send(`42/admin,1["rooms"]`)
		c.Want(`43/admin,1["` + admin + `"]`)
		c.Send(`421["rooms"]`)
		c.Want(`431["` + root + ` in /"]`)
		if n := srv.ClientsCount(); n != 1 {
			t.Errorf("%d clients", n)
		}
	})
}
