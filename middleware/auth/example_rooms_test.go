package auth_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/auth"
)

// Only members of a team may be in its room. When ann has left the team, she is taken out.
func ExampleNewRooms() {
	members := map[string]string{"ann": "red"}
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[jwt.RegisteredClaims](secret)))
	rooms := auth.NewRooms(srv.Namespace, func(_ context.Context, claims *jwt.RegisteredClaims, room string) error {
		if team, ok := strings.CutPrefix(room, "team:"); ok && members[claims.Subject] == team {
			return nil
		}
		return auth.ErrForbidden
	})
	srv.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return rooms.Enter(c, room) }))

	p := open(srv)
	defer p.close()
	ann := p.visit(signed(jwt.RegisteredClaims{Subject: "ann", ExpiresAt: soon()}),
		`421["join","team:blue"]`, `422["join","team:red"]`)

	delete(members, "ann")
	_ = rooms.Recheck(context.Background(), "ann") // on all servers
	fmt.Println(ann.Next())
	// Output:
	// connected
	// 431[{"error":{"message":"forbidden","data":{"code":"forbidden"}}}]
	// 432[]
	// 42["room_left",{"room":"team:red","code":"forbidden"}]
}
