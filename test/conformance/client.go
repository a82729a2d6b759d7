package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// mountForClient serves the tests of socket.io-client.
func mountForClient(r *gin.Engine) {
	srv := sio.New(&sio.Options{
		PingInterval:            2 * time.Second,
		ConnectionStateRecovery: &sio.Recovery{},
		AllowRequest: func(*sio.Request) error {
			<-time.After(10 * time.Millisecond) // for tests of the client's own timeout
			return nil
		},
	})
	root := srv.Of("/")
	root.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		if c.Handshake().Query.Get("fail") != "" {
			return &sio.Error{Message: "Auth failed (main namespace)"}
		}
		return nil
	}))
	simple(root)
	texts(root)
	binaries(root)

	for _, name := range []string{"/timeout_socket", "/valid", "/asd"} {
		srv.Of(name)
	}
	srv.Of("/foo").On("getId", id)
	srv.Of("/abc").OnConnect(func(c *sio.Ctx) error { return c.Emit("handshake", describe(c.Handshake())) })
	srv.Of("/no").UseConnect(sio.Guard(func(*sio.Ctx) error {
		return &sio.Error{Message: "Auth failed (custom namespace)"}
	}))
	siogin.Mount(r, srv)
}

func id(c *sio.Ctx) error { return c.Ack(c.ID()) }

// simple is what a client may ask.
func simple(ns *sio.Namespace) {
	ns.On("getId", id)
	ns.On("getHandshake", func(c *sio.Ctx) error { return c.Ack(describe(c.Handshake())) })
	ns.On("hi", func(c *sio.Ctx) error { return c.Emit("hi") })
	ns.On("false", func(c *sio.Ctx) error { return c.Emit("false", false) })
	ns.On("echo", sio.Reply(func(_ *sio.Ctx, v any) (any, error) { return v, nil }))
	ns.On("ack", func(c *sio.Ctx) error {
		go question(c.Socket) // the next event is not to wait for the answer
		return nil
	})
}

// question asks the client, and says so if its answer was right.
func question(s *sio.Socket) {
	answer, err := s.EmitWithAck(s.Context(), "ack")
	if err != nil {
		return // the client is gone
	}
	var a int
	var b struct{ Test bool }
	if answer.Bind(&a, &b) == nil && a == 5 && b.Test {
		_ = s.Emit("got it") // the client may be gone by now
	}
}

// texts are dates and characters.
func texts(ns *sio.Namespace) {
	now := func() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }
	ns.On("getAckDate", func(c *sio.Ctx) error { return c.Ack(now()) })
	ns.On("getDate", func(c *sio.Ctx) error { return c.Emit("takeDate", now()) })
	ns.On("getDateObj", func(c *sio.Ctx) error { return c.Emit("takeDateObj", map[string]any{"date": now()}) })
	ns.On("getUtf8", func(c *sio.Ctx) error {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			if err := c.Emit("takeUtf8", text); err != nil {
				return err
			}
		}
		return nil
	})
}

// binaries sends binary data, or answers if it arrived as such and in order.
func binaries(ns *sio.Namespace) {
	give := func(event string) sio.Handler {
		return func(c *sio.Ctx) error { return c.Emit(event, []byte("asdfasdf")) }
	}
	ns.On("doge", give("doge"))
	ns.On("getbin", give("takebin"))

	mixed := func(answer string) sio.Handler {
		type object struct {
			Hello, Goodbye string
			Message        []byte
		}
		return sio.Bind(func(c *sio.Ctx, v object) error {
			if v.Hello != "lol" || v.Goodbye != "gotcha" || v.Message == nil {
				return errors.New("the object is another one")
			}
			return c.Emit(answer)
		})
	}
	ns.On("jsonbuff", mixed("jsonbuff-ack"))
	ns.On("jsonblob", mixed("jsonblob-ack"))

	ns.On("buffa", sio.Bind(func(c *sio.Ctx, _ []byte) error { return c.Emit("buffack") }))
	ns.On("blob", sio.Bind(func(c *sio.Ctx, _ []byte) error { return c.Emit("back") }))

	buffers := sequence{sio.NewKey[int]("buffers")}
	ns.On("abuff1", buffers.binary(0, ""))
	ns.On("abuff2", buffers.step(1, "abuff2-ack"))

	blobs := sequence{sio.NewKey[int]("blobs")}
	ns.On("blob1", blobs.binary(0, ""))
	ns.On("blob2", sio.Bind(func(c *sio.Ctx, text string) error {
		if text != "second" {
			return errors.New("the text is another one")
		}
		return blobs.step(1, "")(c)
	}))
	ns.On("blob3", blobs.binary(2, "blob3-ack"))
}

// A sequence is events that come one after the other.
type sequence struct {
	key *sio.Key[int] // how many have come
}

// step returns a handler of the event that comes after n others. If it does, it is
// answered, unless there is no answer.
func (q sequence) step(n int, answer string) sio.Handler {
	return func(c *sio.Ctx) error {
		if came, _ := q.key.Get(c.Socket); n > 0 && came != n {
			return errors.New("events came in another order")
		}
		q.key.Set(c.Socket, n+1)
		if answer == "" {
			return nil
		}
		return c.Emit(answer)
	}
}

// binary is step for events with binary data.
func (q sequence) binary(n int, answer string) sio.Handler {
	return sio.Bind(func(c *sio.Ctx, _ []byte) error { return q.step(n, answer)(c) })
}

// describe returns a handshake in the form that the JavaScript server has for it.
func describe(h *sio.Handshake) map[string]any {
	headers := make(map[string]string)
	for name := range h.Header {
		headers[http.CanonicalHeaderKey(name)] = h.Header.Get(name)
	}
	query := make(map[string]string)
	for name := range h.Query {
		query[name] = h.Query.Get(name)
	}
	auth := h.Auth
	if auth == nil {
		auth = json.RawMessage("{}")
	}
	return map[string]any{
		"headers": headers, "query": query, "auth": auth,
		"time": h.Time.String(), "issued": h.Time.UnixMilli(),
		"address": h.Address, "secure": h.Secure, "url": h.URL,
	}
}
