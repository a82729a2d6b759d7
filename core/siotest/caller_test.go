package siotest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// inAndOut runs f in a bubble and outside of one.
func inAndOut(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Run("bubble", func(t *testing.T) { synctest.Test(t, f) })
	t.Run("real time", f)
}

func TestNewCtx(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		name := sio.NewKey[string]("name")
		post := sio.Bind(func(c *sio.Ctx, text string) error {
			who, _ := name.Get(c.Socket)
			if err := c.Join("lobby"); err != nil {
				return err
			}
			return errors.Join(c.Namespace().To("lobby").Emit("posted", who, text), c.Ack(len(text), []byte(text)))
		})
		c, client := siotest.NewCtx(t, "post", "hello")
		same(t, "event", c.Event(), "post")
		same(t, "id", c.ID(), client.ID())
		same(t, "connected", c.Connected(), true)
		same(t, "wants an ack", c.WantsAck(), true)
		same(t, "pending", client.Ack.Pending(), true)
		name.Set(c.Socket, "ada")
		if err := post(c); err != nil {
			t.Fatal(err)
		}
		same(t, "in the room", slices.Contains(c.Rooms(), "lobby"), true)
		var who, text string
		client.Expect("posted", &who, &text)
		same(t, "posted", []string{who, text}, []string{"ada", "hello"})
		var n int
		var raw []byte
		client.Ack.Bind(&n, &raw)
		same(t, "ack", n, 5)
		same(t, "ack", string(raw), "hello")
		client.ExpectNone()
	})
}

// A handler's error is the test's to look at; nobody turns it into an ack.
func TestNewCtxError(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		c, client := siotest.NewCtx(t, "move", "nonsense")
		err := sio.Bind(func(*sio.Ctx, int) error { return nil })(c)
		failure, ok := errors.AsType[*sio.Error](err)
		if !ok || failure.Message != "invalid payload" {
			t.Errorf("error %v", err)
		}
		same(t, "pending", client.Ack.Pending(), true)
	})
}

// The test's own goroutine waits for the client.
func TestNewCtxAsksItsClient(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		c, client := siotest.NewCtx(t, "buy")
		client.AutoAck("sure?", true)
		sure, err := sio.EmitWithAck[bool](c.Context(), c.Socket, "sure?")
		if err != nil || !sure {
			t.Errorf("%v, %v", sure, err)
		}
	})
}

// Others can be there, too.
func TestNewCtxWithOthers(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		c, client := siotest.NewCtx(t, "post")
		client.Server.On("ping", func(c *sio.Ctx) error { return c.Ack("pong") })
		bob := siotest.Connect(t, client.Server, "/", nil)
		if err := c.Broadcast().Emit("posted"); err != nil {
			t.Error(err)
		}
		bob.Expect("posted")
		client.Emit("nobody's")
		var pong string
		client.Ask("ping").Bind(&pong)
		same(t, "pong", pong, "pong")
		client.ExpectNone()
	})
}

func TestNewCtxDisconnect(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		c, client := siotest.NewCtx(t, "kick me")
		if err := c.Disconnect(); err != nil {
			t.Error(err)
		}
		same(t, "reason", client.Disconnected(), siotest.ServerDisconnect)
		why, ok := errors.AsType[*sio.DisconnectError](context.Cause(c.Context()))
		if !ok || why.Reason != sio.ReasonServerNamespaceDisconnect {
			t.Errorf("cause %v", context.Cause(c.Context()))
		}
	})
}

func TestNewCtxConnect(t *testing.T) {
	user := sio.NewKey[string]("user")
	check := func(c *sio.Ctx) error {
		var login struct{ Token string }
		if err := c.Bind(&login); err != nil {
			return err
		}
		if login.Token == "" {
			return &sio.Error{Message: "not authorized"}
		}
		user.Set(c.Socket, "user of "+login.Token)
		return nil
	}
	inAndOut(t, func(t *testing.T) {
		c, client := siotest.NewCtx(t, "connect", map[string]string{"token": "x"})
		same(t, "event", c.Event(), "connect")
		same(t, "id", c.ID(), client.ID())
		same(t, "connected", c.Connected(), false)
		if err := check(c); err != nil {
			t.Error(err)
		}
		name, _ := user.Get(c.Socket)
		same(t, "user", name, "user of x")
		c.OnAccept(func(*sio.Ctx) error { return nil })
		if err := c.Emit("early"); !errors.Is(err, sio.ErrNotConnected) {
			t.Errorf("emit: %v", err)
		}
		siotest.Connect(t, client.Server, "/", nil) // others are not held up

		c, _ = siotest.NewCtx(t, "connect")
		if err := check(c); err == nil || err.Error() != "not authorized" {
			t.Errorf("without a token: %v", err)
		}
	})
}

// A client of a Ctx is there for as long as the test, in fake time, too.
func TestNewCtxInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := siotest.NewCtx(t, "later")
		connecting, _ := siotest.NewCtx(t, "connect")
		time.Sleep(40 * time.Second)
		same(t, "connecting", context.Cause(connecting.Context()), error(nil))
		time.Sleep(72 * time.Hour)
		if err := c.Ack(); err != nil {
			t.Error(err)
		}
		same(t, "values", client.Ack.Len(), 0)
	})
}
