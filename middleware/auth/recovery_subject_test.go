package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// Where nobody can tell that it is the same user, there is a fresh socket: nothing that
// the other one had or missed is given away, and nobody is locked out.
func TestRecoveryWithoutASubjectGaveAwayAnotherUsersSession(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, second claims // nil for no token
	}{
		"two users":              {claims{"sub": nil, "id": 1}, claims{"sub": nil, "id": 2}},
		"the same token":         {claims{"sub": nil}, claims{"sub": nil}},
		"blanks":                 {claims{"sub": " "}, claims{"sub": " "}},
		"no subject any more":    {claims{}, claims{"sub": nil}},
		"a subject now":          {claims{"sub": nil}, claims{}},
		"somebody, then nobody":  {claims{}, nil},
		"no subject, and nobody": {claims{"sub": nil}, nil},
	} {
		for way, recovery := range recoveries() {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				bubble(t, &sio.Options{ConnectionStateRecovery: &recovery}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					nick := sio.NewDataKey[string]("nick")
					chains := 0
					srv.UseConnect(
						ratelimit.MaxPerIP(1), // which the fresh socket must not count twice for
						auth.Require(hs256(), auth.AllowAnonymous(), silent()),
						sio.Guard(func(*sio.Ctx) error { chains++; return nil }),
					)
					srv.OnConnect(func(c *sio.Ctx) error {
						if kept, ok := nick.Get(c.Socket); ok || c.Recovered() || len(c.Rooms()) > 1 || len(c.Pinned()) > 1 {
							t.Errorf("recovered %v, with %q and rooms %q", c.Recovered(), kept, c.Rooms())
						}
						nick.Set(c.Socket, "of the first")
						return c.Join("secrets")
					})
					first := d.WebSocket(t)
					first.Send(`40{"token":"` + token(t, tt.first) + `"}`)
					v := newVisitor(t, first)
					must(t, srv.Emit("news"))
					v.readOffset(t)
					first.Abort()
					synctest.Wait()
					must(t, srv.To("secrets").Emit("secret"))
					tok := ""
					if tt.second != nil {
						tok = token(t, tt.second)
					}
					second := newVisitor(t, v.comeBack(t, d, tok)) // its answer is the first thing that it gets
					if second.id == v.id || second.pid == v.pid {
						t.Error("the same ids")
					}
					synctest.Wait()
					if chains != 2 {
						t.Errorf("the chain let %d in", chains)
					}
					// It can recover its own session, if it is somebody's or nobody's.
					must(t, srv.Emit("more"))
					second.readOffset(t)
					// The first session is gone.
					again := d.WebSocket(t)
					second.Abort()
					synctest.Wait()
					again.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q,"token":%q}`, v.pid, v.offset, token(t, tt.first)))
					if p := again.Next(); !strings.HasPrefix(p, `40{"sid"`) {
						t.Errorf("got %s", p)
					}
				})
			})
		}
	}
}
