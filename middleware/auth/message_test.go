package auth_test

import (
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

func TestMessagesOfTheApplication(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256(), auth.Message("unauthorized"), auth.Message("jwt expired", auth.CodeExpired)))
		srv.On("authenticate", auth.Refresh(hs256()))
		srv.On("post", func(c *sio.Ctx) error { return c.Ack() }, auth.Scope("chat:write"))
		srv.On("own", func(c *sio.Ctx) error { return c.Ack() }, auth.Check(func(*auth.Identity, *sio.Ctx) error {
			return &sio.Error{Message: "banned"}
		}))
		for code, payload := range map[string]string{
			`"unauthorized","data":{"code":"token_missing"}`: `{}`,
			`"unauthorized","data":{"code":"token_invalid"}`: `{"token":"x"}`,
			`"jwt expired","data":{"code":"token_expired"}`:  `{"token":"` + token(t, claims{"exp": 1}) + `"}`,
		} {
			c := d.WebSocket(t)
			c.Send("40" + payload)
			c.Want(`44{"message":` + code + `}`)
		}
		c := enter(t, d, token(t, nil))
		answer(t, c, `["authenticate","x"]`, `[{"error":{"message":"unauthorized","data":{"code":"token_invalid"}}}]`)
		answer(t, c, `["post"]`, `[{"error":{"message":"unauthorized","data":{"code":"forbidden"}}}]`)
		answer(t, c, `["own"]`, `[{"error":{"message":"banned"}}]`)
	})
}

// Chats commonly emit to each room of a client, and let clients name the rooms that they
// join.
func TestRoomsOfAnotherUser(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256()))
		srv.On("join", sio.Reply(func(c *sio.Ctx, room string) (int, error) { return 0, c.Join(room) }))
		srv.On("who", sio.Reply(func(c *sio.Ctx, _ struct{}) ([]any, error) {
			return []any{auth.Subject(c.Socket), auth.Claims[auth.Identity](c.Socket).Subject, len(c.Rooms()), c.Pinned()}, nil
		}))
		bob, ann := enter(t, d, token(t, claims{"sub": "bob"})), enter(t, d, token(t, nil))
		answer(t, bob, `["who"]`, `[["bob","bob",1,["auth:sub:bob"]]]`)
		answer(t, bob, `["join","auth:sub:ann"]`, `[0]`)
		answer(t, bob, `["who"]`, `[["bob","bob",2,["auth:sub:bob"]]]`)
		must(t, auth.RevokeSubject(srv.Namespace, "bob"))
		bob.Want(tokenRevoked, "41")
		answer(t, ann, `["who"]`, `[["ann","ann",1,["auth:sub:ann"]]]`)
	})
}
