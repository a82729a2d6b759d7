package sio_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A client sends an auth payload for each of its namespaces, and most the same one.
func TestAuthPayloadsThatAreKeptAreBounded(t *testing.T) {
	const limit = 1000
	opts := &sio.Options{MaxHandshakeBytes: limit}
	payload := func(c string, size int) string { return `{"t":"` + strings.Repeat(c, size-8) + `"}` }
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		sockets := map[string]*sio.Socket{}
		for _, name := range []string{"/", "/a", "/b", "/c", "/d", "/large"} {
			ns := srv.Of(name)
			ns.UseConnect(func(next sio.Handler) sio.Handler {
				return func(c *sio.Ctx) error {
					if len(c.Handshake().Auth) == 0 {
						t.Errorf("%s: middleware finds no payload", name)
					}
					return next(c)
				}
			})
			ns.OnConnect(func(c *sio.Ctx) error {
				var auth struct{ T string }
				if err := c.Bind(&auth); err != nil || len(auth.T) == 0 {
					t.Errorf("%s: OnConnect finds %q, %v", name, auth.T, err)
				}
				sockets[name] = c.Socket
				return nil
			})
		}
		c := d.WebSocket(t)
		auth := map[string]string{
			"/": payload("x", limit-300), "/a": payload("x", limit-300), "/b": payload("y", 300), "/c": payload("y", 300),
			"/d": payload("z", 10), "/large": payload("l", 10*limit),
		}
		for _, name := range []string{"/", "/a", "/b", "/c", "/d", "/large"} {
			c.Connect(name, auth[name])
		}
		synctest.Wait()
		for name, kept := range map[string]bool{"/": true, "/a": true, "/b": true, "/c": true, "/d": false, "/large": false} {
			h := sockets[name].Handshake()
			if got := string(h.Auth); (got == auth[name]) != kept || (got == "") == kept {
				t.Errorf("%s: %d bytes are kept of %d, want all: %t", name, len(got), len(auth[name]), kept)
			}
			var auth struct{ T string }
			if err := h.Bind(&auth); kept && (err != nil || auth.T == "") || !kept && !errors.Is(err, sio.ErrAuthDropped) {
				t.Errorf("%s: Bind gives %q, %v", name, auth.T, err)
			}
		}
		c.Send("41/b,", "41/c,") // makes room
		synctest.Wait()
		c.Send("41/d,")
		synctest.Wait()
		c.Connect("/d", auth["/d"])
		synctest.Wait()
		if got := string(sockets["/d"].Handshake().Auth); got != auth["/d"] {
			t.Errorf("after others have left, %q is kept", got)
		}
	})
}

// What waits for connect middleware is counted.
func TestAuthPayloadsThatWaitAreBounded(t *testing.T) {
	const limit = 10_000
	bubble(t, &sio.Options{MaxPendingBytes: limit}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		wait := make(chan struct{})
		for _, name := range []string{"/a", "/b", "/c", "/d"} {
			srv.Of(name).UseConnect(func(next sio.Handler) sio.Handler {
				return func(c *sio.Ctx) error { <-wait; return next(c) }
			})
		}
		c := d.WebSocket(t)
		large := `{"t":"` + strings.Repeat("x", limit/2) + `"}`
		c.Send("40/a,"+large, "40/b,{}", "40/c,"+large)
		c.Want(`44/c,{"message":"too much auth data"}`)
		close(wait)
		for range 2 {
			if got := c.Next(); !strings.HasPrefix(got, "40/a,") && !strings.HasPrefix(got, "40/b,") {
				t.Errorf("got %s", got)
			}
		}
		synctest.Wait()
		c.Connect("/c", large)
		c.Connect("/d", `{"t":"`+strings.Repeat("x", 2*limit)+`"}`) // alone, one may be larger
	})
}

func TestTheAuthPayloadIsDecodedAnywhere(t *testing.T) {
	type auth struct{ Token string }
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		s := new(story)
		look := func(where string, h *sio.Handshake) {
			var a auth
			err := h.Bind(&a)
			s.add("%s %v %q", where, err, a.Token)
		}
		ns := srv.OfFunc(func(_ string, h *sio.Handshake) bool { look("match", h); return true })
		ns.UseConnect(sio.Guard(func(c *sio.Ctx) error { look("middleware", c.Handshake()); return nil }))
		ns.OnConnect(func(c *sio.Ctx) error { look("connect", c.Handshake()); return nil })
		ns.On("event", func(c *sio.Ctx) error { look("event", c.Handshake()); return nil })
		ns.OnDisconnect(func(s *sio.Socket, _ sio.Reason) { look("disconnect", s.Handshake()) })
		for _, tt := range []struct{ payload, want string }{
			{`{"token":"x","more":1}`, `<nil> "x"`}, {"", `<nil> ""`}, {"{}", `<nil> ""`}, {`{"token":null}`, `<nil> ""`},
		} {
			s = new(story)
			c := d.WebSocket(t)
			c.Connect("/a", tt.payload)
			c.Send(`42/a,["event"]`, "41/a,")
			synctest.Wait()
			if tt.payload == `{"token":"x","more":1}` {
				s.want(t, "match "+tt.want, "middleware "+tt.want, "connect "+tt.want, "event "+tt.want, "disconnect "+tt.want)
			} else { // the namespace is there
				s.want(t, "middleware "+tt.want, "connect "+tt.want, "event "+tt.want, "disconnect "+tt.want)
			}
		}
	})
}

// The client is told, and not the log.
func TestAnAuthPayloadThatDoesNotFit(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l), MaxHandshakeBytes: 1000}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("token", func(c *sio.Ctx) error {
			var auth struct{ Token string }
			if err := c.Handshake().Bind(&auth); err != nil {
				return err
			}
			return c.Ack(auth.Token)
		})
		var kept *sio.Ctx
		srv.OnConnect(func(c *sio.Ctx) error { kept = c; return nil })
		for payload, want := range map[string]string{
			`{"token":"x"}`: `431["x"]`, `{"token":1}`: `431[{"error":{"message":"invalid payload"}}]`,
			`{"token":"` + strings.Repeat("x", 2000) + `"}`: `431[{"error":{"message":"internal error"}}]`,
		} {
			c := d.WebSocket(t)
			c.Connect("/", payload)
			c.Send(`421["token"]`)
			c.Want(want)
			if len(payload) < 1000 {
				continue
			}
			if err := kept.Bind(new(struct{})); !errors.Is(err, sio.ErrAuthDropped) {
				t.Errorf("Ctx.Bind afterwards: %v", err)
			}
			if err := kept.Args().Bind(new(sio.Optional[any])); !errors.Is(err, sio.ErrAuthDropped) {
				t.Errorf("Args.Bind afterwards: %v", err)
			}
			if v, err := kept.Args().Values(); !errors.Is(err, sio.ErrAuthDropped) {
				t.Errorf("Args.Values afterwards: %v, %v", v, err)
			}
			if n := kept.Args().Len(); n != 0 {
				t.Errorf("Ctx.Args afterwards: %d values", n)
			}
		}
		l.mustBeQuiet(t)
	})
}
