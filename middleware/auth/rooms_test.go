package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// Rights are what users may do, in a database.
type rights struct {
	mu    sync.Mutex
	teams map[string][]string // by user
}

func (r *rights) set(user string, teams ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.teams == nil {
		r.teams = make(map[string][]string)
	}
	r.teams[user] = teams
}

func (r *rights) may(_ context.Context, user *auth.Identity, room string) error {
	team, ok := strings.CutPrefix(room, "team:")
	if !ok {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if user == nil || !slices.Contains(r.teams[user.Subject], team) {
		return auth.ErrForbidden
	}
	return nil
}

// byRole allows the rooms of the token's roles.
func byRole(_ context.Context, user *auth.Identity, room string) error {
	if team, ok := strings.CutPrefix(room, "team:"); ok && (user == nil || !user.HasRole(team)) {
		return auth.ErrForbidden
	}
	return nil
}

type may = func(context.Context, *auth.Identity, string) error

// doors gives a server rooms with doors.
func doors(srv *sio.Server, f may, opts ...auth.Option) *auth.Rooms {
	srv.UseConnect(auth.Require(hs256(), opts...))
	rooms := auth.NewRooms(srv.Namespace, f)
	srv.On("join", sio.Bind(func(c *sio.Ctx, names []string) error { return rooms.Enter(c, names...) }))
	srv.On("authenticate", auth.Refresh(hs256()))
	srv.On("rooms", sio.Reply(func(c *sio.Ctx, _ struct{}) ([]string, error) {
		return slices.Sorted(slices.Values(c.Rooms()[1:])), nil
	}))
	return rooms
}

func withToken(token string) map[string]string { return map[string]string{"token": token} }

func wantRooms(t *testing.T, p *siotest.Peer, want ...string) {
	t.Helper()
	var got []string
	p.Ask("rooms").Bind(&got)
	if !slices.Equal(got, want) {
		t.Errorf("in rooms %q, want %q", got, want)
	}
}

func wantForbidden(t *testing.T, a *siotest.Ack) {
	t.Helper()
	if err := a.Err(); err == nil || err.Error() != "forbidden" {
		t.Errorf("error %v", err)
	}
}

// left is what a client is told.
type left struct{ Room, Code string }

func wantLeft(t *testing.T, p *siotest.Peer, room string) {
	t.Helper()
	var got left
	p.Expect(auth.EventLeft, &got)
	if got != (left{room, "forbidden"}) {
		t.Errorf("told %+v", got)
	}
}

func TestEnter(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var db rights
		var a audit
		db.set("ann", "red", "blue")
		doors(srv, db.may, auth.AllowAnonymous(), a.observe())
		ann := d.Connect(t, "/", withToken(token(t, nil)))
		must(t, ann.Ask("join", []string{"team:red", "lobby"}).Err())
		wantForbidden(t, ann.Ask("join", []string{"team:blue", "team:green"}))
		wantRooms(t, ann, "lobby", "team:red")
		must(t, ann.Ask("join", []string{"team:blue", "team:red"}).Err())
		wantRooms(t, ann, "lobby", "team:blue", "team:red")
		nobody := d.Connect(t, "/", nil)
		must(t, nobody.Ask("join", []string{"lobby"}).Err())
		wantForbidden(t, nobody.Ask("join", []string{"team:red"}))
		wantRooms(t, nobody, "lobby")
		a.want(t, "accepted ann", "denied ann join forbidden", "accepted", "denied join forbidden")
	})
}

// A new token has other rights: the socket leaves rooms, and is told so.
func TestRoomsAfterARefresh(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var a audit
		doors(srv, byRole, a.observe())
		p := d.Connect(t, "/", withToken(token(t, claims{"roles": "red blue"})))
		must(t, p.Ask("join", []string{"team:red", "team:blue", "lobby"}).Err())
		must(t, p.Ask("authenticate", token(t, claims{"roles": "red blue"})).Err())
		wantRooms(t, p, "lobby", "team:blue", "team:red")
		ack := p.Ask("authenticate", token(t, claims{"roles": "blue"}))
		wantLeft(t, p, "team:red")
		must(t, ack.Err())
		wantRooms(t, p, "lobby", "team:blue")
		wantForbidden(t, p.Ask("join", []string{"team:red"}))
		must(t, srv.To("team:red").Emit("secret"))
		must(t, srv.To("team:blue").Emit("news"))
		p.Expect("news")
		if p.Ask("authenticate", token(t, claims{"sub": "bob"})).Err() == nil {
			t.Error("another user took over the socket")
		}
		wantRooms(t, p, "lobby", "team:blue") // the old token is still the one that counts
		a.want(t, "accepted ann", "refreshed ann", "left ann team:red forbidden", "refreshed ann", "denied ann join forbidden", "refused ann forbidden")
	})
}

// The rights of a user change: all servers check the user's sockets, and no others.
func TestRecheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var db rights
		db.set("ann", "red", "blue")
		db.set("bob", "red")
		cluster := adapter.NewMemory()
		var rooms []*auth.Rooms
		var anns, bobs []*siotest.Peer
		var servers []*sio.Server
		for range 3 {
			srv := sio.New(&sio.Options{Adapter: cluster})
			servers = append(servers, srv)
			rooms = append(rooms, doors(srv, db.may))
			d := siotest.Pipes(t, srv)
			anns = append(anns, d.Connect(t, "/", withToken(token(t, nil))), d.Connect(t, "/", withToken(token(t, nil))))
			bobs = append(bobs, d.Connect(t, "/", withToken(token(t, claims{"sub": "bob"}))))
		}
		for _, p := range append(slices.Clone(anns), bobs...) {
			must(t, p.Ask("join", []string{"team:red", "lobby"}).Err())
		}
		db.set("ann", "blue")
		db.set("bob")
		must(t, rooms[1].Recheck(t.Context(), "ann"))
		must(t, rooms[1].Recheck(t.Context(), " ")) // nobody
		for _, p := range anns {
			wantLeft(t, p, "team:red")
			wantRooms(t, p, "lobby")
			must(t, p.Ask("join", []string{"team:blue"}).Err())
		}
		for _, p := range bobs {
			wantRooms(t, p, "lobby", "team:red") // nobody has asked
		}
		for _, srv := range servers {
			must(t, srv.Shutdown(context.Background()))
		}
	})
}

// A client that comes back and may not be in one of its rooms any more is as a new one, and
// gets nothing that it missed there. Otherwise it is where it was.
func TestRoomsAfterARecovery(t *testing.T) {
	t.Parallel()
	for way, recovery := range recoveries() {
		for _, allowed := range []bool{true, false} {
			t.Run(fmt.Sprint(way, ", allowed: ", allowed), func(t *testing.T) {
				t.Parallel()
				bubble(t, &sio.Options{ConnectionStateRecovery: &recovery}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					var db rights
					db.set("ann", "red")
					rooms := doors(srv, db.may)
					c := d.WebSocket(t)
					c.Send(`40{"token":"` + token(t, nil) + `"}`)
					v := newVisitor(t, c)
					c.Send(`420["join",["team:red","lobby"]]`)
					c.Want(`430[]`)
					must(t, srv.Emit("news"))
					v.readOffset(t)
					c.Abort()
					synctest.Wait()
					must(t, srv.To("team:red").Emit("secret"))
					if !allowed {
						db.set("ann")
						must(t, rooms.Recheck(t.Context(), "ann"))
					}
					c = v.comeBack(t, d, token(t, nil))
					if allowed {
						if p := c.Next(); !strings.HasPrefix(p, `42["secret"`) {
							t.Errorf("missed %s", p)
						}
					}
					back := newVisitor(t, c)
					if recovered := back.id == v.id; recovered != allowed {
						t.Errorf("recovered: %t", recovered)
					}
					synctest.Wait()
					if got := srv.Socket(back.id).Rooms()[1:]; allowed && len(got) != 2 || !allowed && len(got) != 0 {
						t.Errorf("in rooms %q", got)
					}
				})
			})
		}
	}
}

// A token that is revoked or expires ends the socket, in whatever room it is.
func TestRoomsAndRevocation(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var db rights
		db.set("ann", "red")
		doors(srv, db.may)
		p := d.Connect(t, "/", withToken(token(t, nil)))
		must(t, p.Ask("join", []string{"team:red"}).Err())
		must(t, auth.RevokeSubject(srv.Namespace, "ann"))
		synctest.Wait()
		if n := len(srv.To("team:red").Sockets()); n != 0 {
			t.Errorf("%d sockets are in the room", n)
		}
	})
}

// While a handler waits for the answer whether it may enter, the right is taken away. The
// answer is too old to count.
func TestRightsThatChangeWhileTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var db rights
		db.set("ann", "red")
		asked, answer := make(chan struct{}), make(chan struct{})
		var once sync.Once
		rooms := doors(srv, func(ctx context.Context, user *auth.Identity, room string) error {
			err := db.may(ctx, user, room)
			once.Do(func() {
				close(asked)
				<-answer
			})
			return err
		})
		p := d.Connect(t, "/", withToken(token(t, nil)))
		ack := p.Ask("join", []string{"team:red"})
		<-asked
		db.set("ann")
		must(t, rooms.Recheck(t.Context(), "ann"))
		close(answer)
		wantForbidden(t, ack)
		wantRooms(t, p)
	})
}

// Whatever goes wrong, the socket is in no room that nobody has allowed.
func TestDoorsThatFail(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("no database") },
		"panic": func() error { panic("no database") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := new(logbook)
				srv := sio.New(&sio.Options{Logger: log.logger()})
				broken := false
				rooms := doors(srv, func(context.Context, *auth.Identity, string) error {
					if broken {
						return fail()
					}
					return nil
				}, auth.Logger(log.logger()))
				p := siotest.Pipes(t, srv).Connect(t, "/", withToken(token(t, nil)))
				must(t, p.Ask("join", []string{"a", "b"}).Err())
				broken = true
				if err := p.Ask("join", []string{"c"}).Err(); err == nil || err.Error() != "internal error" {
					t.Errorf("error %v", err)
				}
				wantRooms(t, p, "a", "b")
				must(t, rooms.Recheck(t.Context(), "ann"))
				got := []left{{}, {}}
				p.Expect(auth.EventLeft, &got[0])
				p.Expect(auth.EventLeft, &got[1])
				wantRooms(t, p)
				if text := log.String(); strings.Count(text, "function of auth.NewRooms failed") != 2 || !strings.Contains(text, "no database") {
					t.Errorf("logged %s", text)
				}
				must(t, srv.Shutdown(context.Background()))
			})
		})
	}
}

func TestWrongUseOfRooms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		srv := sio.New(&sio.Options{Logger: log.logger()})
		auth.NewRooms(srv.Namespace, byRole)
		if _, err := siotest.Pipes(t, srv).TryConnect(t, "/", nil); err == nil || err.Error() != "internal error" {
			t.Errorf("without Require: %v", err)
		}
		if text := log.String(); !strings.Contains(text, "auth: NewRooms has to come behind auth.Require or auth.From") {
			t.Errorf("logged %s", text)
		}
		other := srv.Of("/other")
		other.UseConnect(auth.Require(hs256()))
		wrong := auth.NewRooms(other, func(context.Context, *struct{}, string) error { return nil })
		other.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return wrong.Enter(c, room) }))
		p := siotest.Pipes(t, srv).Connect(t, "/other", withToken(token(t, nil)))
		if err := p.Ask("join", "a").Err(); err == nil || err.Error() != "internal error" {
			t.Errorf("another type: %v", err)
		}
		if text := log.String(); !strings.Contains(text, "auth: NewRooms is for *struct {}, but the socket has *auth.Identity") {
			t.Errorf("logged %s", text)
		}
		for name, f := range map[string]func(){
			"auth: NewRooms needs a namespace and a function": func() { auth.NewRooms[auth.Identity](srv.Namespace, nil) },
			`sio: OnServerEvent("sioplug:rooms"): name`:       func() { auth.NewRooms(srv.Namespace, byRole) },
		} {
			func() {
				defer func() {
					if text := fmt.Sprint(recover()); !strings.HasPrefix(text, name) {
						t.Errorf("panic %q, want %q", text, name)
					}
				}()
				f()
			}()
		}
		must(t, srv.Shutdown(context.Background()))
	})
}
