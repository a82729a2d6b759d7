package interop_test

import (
	"errors"
	"fmt"

	sio "github.com/sioplug/sioplug/core"
)

// name is what a client called itself when it connected.
var name = sio.NewKey[string]("name")

// names greets its clients, who may say their names in the auth payload.
func names(ns *sio.Namespace) {
	ns.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct{ Name string }
		if err := c.Bind(&auth); err != nil {
			return err
		}
		name.Set(c.Socket, auth.Name)
		return nil
	}))
	ns.OnConnect(func(c *sio.Ctx) error { return c.Emit("welcome", ns.Name()) })
	ns.On("name", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
		n, _ := name.Get(c.Socket)
		return n, nil
	}))
}

// token is what a member connected with.
var token = sio.NewKey[string]("token")

// members accepts only clients with a valid token.
func members(ns *sio.Namespace) {
	ns.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct{ Token string }
		if err := c.Bind(&auth); err != nil {
			return err
		}
		token.Set(c.Socket, auth.Token)
		switch auth.Token {
		case "good", "banned":
			return nil
		case "":
			return &sio.Error{Message: "no token"}
		case "expired":
			return fmt.Errorf("checking the token: %w", &sio.Error{Message: "token expired"})
		case "database down":
			return errors.New("dial tcp: connection refused")
		case "panic":
			panic("a bug in the middleware")
		default:
			return &sio.Error{
				Message: "not authorized",
				Data:    map[string]any{"code": "E001", "retry": false},
			}
		}
	}))
	ns.OnConnect(func(c *sio.Ctx) error {
		if t, _ := token.Get(c.Socket); t == "banned" {
			return errors.New("this member is banned")
		}
		return nil
	})
	ns.On("secret", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "for members only", nil }))
}

// failures has a handler for each way to fail.
func failures(ns *sio.Namespace) {
	ns.On("double", sio.Reply(double))
	ns.On("fail for the client", func(*sio.Ctx) error {
		return &sio.Error{
			Message: "out of stock",
			Data:    map[string]any{"left": 0, "image": []byte("sad")},
			Err:     errors.New("a cause that stays here"),
		}
	})
	ns.On("fail wrapped", func(*sio.Ctx) error {
		return fmt.Errorf("ordering: %w", &sio.Error{Message: "out of stock"})
	})
	ns.On("fail inside", func(*sio.Ctx) error { return errors.New("no space left on device") })
	ns.On("panic", func(*sio.Ctx) error { panic("a bug in a handler") })
	ns.On("never", acknowledge, sio.Guard(func(*sio.Ctx) error {
		return &sio.Error{Message: "not today"}
	}))
}
