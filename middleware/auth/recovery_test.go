package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// A visitor is a client that can recover its session.
type visitor struct {
	*siotest.Client

	id, pid, offset string
}

// newVisitor takes the answer to CONNECT.
func newVisitor(t *testing.T, c *siotest.Client) *visitor {
	t.Helper()
	v := &visitor{Client: c}
	packet := c.Next()
	var reply struct{ SID, PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "40")), &reply); err != nil || reply.PID == "" {
		t.Fatalf("answer to CONNECT: %s", packet)
	}
	v.id, v.pid = reply.SID, reply.PID
	return v
}

// readOffset takes an event, whose last argument is the offset.
func (v *visitor) readOffset(t *testing.T) {
	t.Helper()
	packet := v.Next()
	var event []string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "42")), &event); err != nil || len(event) < 2 {
		t.Fatalf("event with an offset: %s", packet)
	}
	v.offset = event[len(event)-1]
}

// comeBack connects again with the session and a token, if any.
func (v *visitor) comeBack(t *testing.T, d siotest.Dialer, token string) *siotest.Client {
	t.Helper()
	synctest.Wait() // until the server knows that the first connection is gone
	c := d.WebSocket(t)
	payload := map[string]string{"pid": v.pid, "offset": v.offset}
	if token != "" {
		payload["token"] = token
	}
	data, err := json.Marshal(payload)
	must(t, err)
	c.Send("40" + string(data))
	return c
}

// A shared log is one behind a network: what it keeps is data.
type shared struct{ adapter.Log }

// Save implements [adapter.Log].
func (l shared) Save(ctx context.Context, s *adapter.Session) error {
	c := *s
	c.Local = nil
	return l.Log.Save(ctx, &c)
}

// recoveries are the ways to come back: by default the connect chain is skipped.
// A server that somebody else's session comes to runs it, as it knows no better.
func recoveries() map[string]sio.Recovery {
	return map[string]sio.Recovery{
		"skipping the chain": {},
		"running the chain":  {RunMiddlewares: true},
		"at another server": {Log: func(string) adapter.Log {
			return shared{adapter.NewMemoryLog(adapter.MemoryLogOptions{})}
		}},
	}
}

// fresh is what becomes of a client whose session nobody can tell to be its own: it gets
// a socket without what the former one had.
const fresh = "fresh"

func TestRecoveryDoesNotBypassTheGuard(t *testing.T) {
	t.Parallel()
	life := func(d time.Duration) claims { return claims{"exp": time.Now().Add(d).Unix()} }
	anonymous := auth.AllowAnonymous()
	badIsRevoked := auth.Revoked(func(_ context.Context, tok auth.Token) (bool, error) { return tok.ID == "bad", nil })
	signed := func(changes claims) func(t *testing.T) string {
		return func(t *testing.T) string { return token(t, changes) }
	}
	short := func(t *testing.T) string { return token(t, life(time.Minute)) }
	tests := map[string]struct {
		first, second func(t *testing.T) string // nil for no token
		opts          []auth.Option
		away          time.Duration
		want          string // "" for recovered
	}{
		"the same token":              {first: signed(nil), second: signed(nil)},
		"another of the subject":      {first: signed(claims{"jti": "1"}), second: signed(claims{"jti": "2"})},
		"expired meanwhile":           {first: short, away: time.Minute, want: expired},
		"no token":                    {first: signed(nil), want: missing},
		"somebody else":               {first: signed(nil), second: signed(claims{"sub": "bob"}), want: forbidden},
		"another issuer's":            {first: signed(claims{"iss": "a"}), second: signed(claims{"iss": "b"}), want: forbidden},
		"no subject any more":         {first: signed(nil), second: signed(claims{"sub": nil}), want: fresh},
		"no subject yet":              {first: signed(claims{"sub": nil}), second: signed(nil), want: fresh},
		"no subject at all":           {first: signed(claims{"sub": nil}), second: signed(claims{"sub": nil}), want: fresh},
		"an empty subject":            {first: signed(claims{"sub": ""}), second: signed(claims{"sub": ""}), want: fresh},
		"nobody, where that may be":   {first: signed(nil), opts: []auth.Option{anonymous}, want: fresh},
		"nobody comes back as nobody": {opts: []auth.Option{anonymous}},
		"nobody signs in":             {second: signed(nil), opts: []auth.Option{anonymous}},
		"revoked meanwhile":           {first: signed(nil), second: signed(claims{"jti": "bad"}), opts: []auth.Option{badIsRevoked}, want: revoked},
	}
	for name, tt := range tests {
		for way, recovery := range recoveries() {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				bubble(t, &sio.Options{ConnectionStateRecovery: &recovery}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					srv.UseConnect(auth.Require(hs256(), tt.opts...))
					rooms := make(chan []string, 2)
					srv.OnConnect(func(c *sio.Ctx) error { rooms <- append(c.Rooms(), c.Pinned()...); return nil })
					var tok string
					if tt.first != nil {
						tok = tt.first(t)
					}
					c := d.WebSocket(t)
					c.Send(`40{"token":"` + tok + `"}`)
					v := newVisitor(t, c)
					<-rooms
					must(t, srv.Emit("news"))
					v.readOffset(t)
					c.Abort()
					synctest.Wait()
					must(t, srv.Emit("secret"))
					switch time.Sleep(tt.away); {
					case tt.second != nil:
						tok = tt.second(t)
					case tt.away == 0:
						tok = ""
					}
					c = v.comeBack(t, d, tok)
					if tt.want == fresh {
						if now := newVisitor(t, c); now.id == v.id || now.pid == v.pid {
							t.Errorf("not a fresh socket: %s", now.id)
						}
						must(t, srv.Emit("for all"))
						if p := c.Next(); !strings.HasPrefix(p, `42["for all"`) {
							t.Errorf("after a fresh start it got %s", p)
						}
						return
					}
					if tt.want != "" {
						c.Want("44" + tt.want) // before anything that it missed
						return
					}
					if p := c.Next(); !strings.HasPrefix(p, `42["secret"`) {
						t.Fatalf("missed %s", p)
					}
					if back := newVisitor(t, c); back.id != v.id {
						t.Errorf("another id: %s, was %s", back.id, v.id)
					}
					// It can be found by the new token, and not by the old one.
					want := []string{v.id}
					if tok != "" {
						want = append(want, "auth:sub:ann")
					}
					if strings.HasPrefix(name, "another of") {
						want = append(want, "auth:jti:2")
					}
					if got := <-rooms; !slices.Equal(got, want) {
						t.Errorf("rooms %q, want %q", got, want)
					}
				})
			})
		}
	}
}

// The end of the new token counts, and a timer of the old one's does no harm.
func TestRecoveredSocketDoesNotOutliveItsToken(t *testing.T) {
	t.Parallel()
	for way, recovery := range recoveries() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			bubble(t, &sio.Options{ConnectionStateRecovery: &recovery}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.UseConnect(auth.Require(hs256(), auth.WarnBefore(0)))
				start := time.Now()
				c := d.WebSocket(t)
				c.Send(`40{"token":"` + token(t, claims{"exp": start.Add(2 * time.Minute).Unix()}) + `"}`)
				v := newVisitor(t, c)
				must(t, srv.Emit("news"))
				v.readOffset(t)
				c.Abort()
				c = v.comeBack(t, d, token(t, claims{"exp": start.Add(3 * time.Minute).Unix()}))
				v = newVisitor(t, c)
				if p := c.Next(); !strings.HasPrefix(p, `42["token_expired",{"code":"token_expired"}`) || time.Since(start) != 3*time.Minute {
					t.Errorf("after %v: %s", time.Since(start), p)
				}
				c.Want("41")
				// Nobody recovers a session that the server has ended.
				c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q,"token":%q}`, v.pid, v.offset, token(t, nil)))
				if again := newVisitor(t, c); again.id == v.id {
					t.Error("recovered")
				}
			})
		})
	}
}
