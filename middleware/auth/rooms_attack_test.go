package auth_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// A client goes while its rooms are checked, so the database is asked in vain. That is not a
// failure for the log.
func TestAClientThatGoesDuringACheckIsNotLogged(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"join", "authenticate"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			log := new(logbook)
			synctest.Test(t, func(t *testing.T) {
				srv := sio.New(&sio.Options{Logger: log.logger()})
				var wait atomic.Bool
				doors(srv, func(ctx context.Context, _ *auth.Identity, _ string) error {
					if wait.Load() {
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				}, auth.Logger(log.logger()))
				p := siotest.Pipes(t, srv).Connect(t, "/", withToken(token(t, nil)))
				must(t, p.Ask("join", []string{"a", "b"}).Err())
				wait.Store(true)
				if event == "join" {
					p.Emit(event, []string{"c"})
				} else {
					p.Emit(event, token(t, nil))
				}
				synctest.Wait()
				p.Abort()
				must(t, srv.Shutdown(context.Background()))
			})
			if text := log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "level=WARN") {
				t.Errorf("a client made the server log above Debug:\n%s", text)
			}
		})
	}
}

// An administrator changes rights and closes the browser. The check goes on: the user keeps
// the rooms that are allowed, and loses the others.
func TestACallerOfRecheckThatGoesTakesNoRoomsAway(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var db rights
		db.set("ann", "red", "blue")
		rooms := doors(srv, func(ctx context.Context, user *auth.Identity, room string) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return db.may(ctx, user, room)
		})
		p := d.Connect(t, "/", withToken(token(t, nil)))
		must(t, p.Ask("join", []string{"team:red", "team:blue", "lobby"}).Err())
		db.set("ann", "blue")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		must(t, rooms.Recheck(ctx, "ann"))
		wantLeft(t, p, "team:red")
		wantRooms(t, p, "lobby", "team:blue")
	})
}

// Rights change while a client enters, and the second question fails. The client is not in
// the room that the first answer has let it into.
func TestAPanicAtTheSecondQuestionLeavesNobodyInTheRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(&sio.Options{Logger: new(logbook).logger()})
		asked, answer := make(chan struct{}), make(chan struct{})
		var times atomic.Int64
		rooms := doors(srv, func(context.Context, *auth.Identity, string) error {
			if times.Add(1) > 1 {
				panic("no database")
			}
			close(asked)
			<-answer
			return nil
		})
		p := siotest.Pipes(t, srv).Connect(t, "/", withToken(token(t, nil)))
		ack := p.Ask("join", []string{"secret"})
		<-asked
		must(t, rooms.Recheck(t.Context(), "ann"))
		close(answer)
		if err := ack.Err(); err == nil || err.Error() != "internal error" {
			t.Errorf("error %v", err)
		}
		wantRooms(t, p)
		must(t, srv.Shutdown(context.Background()))
	})
}

// Rooms of another namespace do not check the socket again, so they do not let it in.
func TestASocketOfAnotherNamespaceDoesNotEnter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		srv := sio.New(&sio.Options{Logger: log.logger()})
		rooms := doors(srv, byRole)
		other := srv.Of("/other")
		other.UseConnect(auth.Require(hs256()))
		other.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return rooms.Enter(c, room) }))
		p := siotest.Pipes(t, srv).Connect(t, "/other", withToken(token(t, nil)))
		if err := p.Ask("join", "lobby").Err(); err == nil || err.Error() != "internal error" {
			t.Errorf("error %v", err)
		}
		if text := log.String(); !strings.Contains(text, "auth: Enter is for sockets of the namespace of NewRooms") {
			t.Errorf("logged %s", text)
		}
		must(t, srv.Shutdown(context.Background()))
	})
}

// Packages of this module find the sockets of users by rooms. A client that may enter all
// rooms would get the mail of others there, or count as one of their sockets.
func TestNobodyEntersTheRoomsOfUsers(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		doors(srv, func(context.Context, *auth.Identity, string) error { return nil })
		p := d.Connect(t, "/", withToken(token(t, nil)))
		for _, room := range []string{"users:id:bob", "auth:sub:bob", "auth:jti:1", "ratelimit:sockets per user:x"} {
			wantForbidden(t, p.Ask("join", []string{"lobby", room}))
		}
		wantRooms(t, p)
		must(t, p.Ask("join", []string{"users", "authors", "auth:"}).Err())
	})
}

// A client names a room many times. That is one question.
func TestEachRoomIsAskedForOnce(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var times atomic.Int64
		doors(srv, func(context.Context, *auth.Identity, string) error { times.Add(1); return nil })
		p := d.Connect(t, "/", withToken(token(t, nil)))
		must(t, p.Ask("join", strings.Split(strings.Repeat("a,b,", 1000)+"a", ",")).Err())
		wantRooms(t, p, "a", "b")
		if n := times.Load(); n != 2 {
			t.Errorf("%d questions", n)
		}
	})
}

// More users wait for a check than are kept. Then all are checked, so nobody keeps a right
// that was taken away.
func TestTooManyChecksAreNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var db rights
		db.set("ann", "red")
		cluster, log := adapter.NewMemory(), new(logbook)
		here := sio.New(&sio.Options{Adapter: cluster, Logger: log.logger()})
		there := sio.New(&sio.Options{Adapter: cluster, Logger: log.logger()})
		rooms := doors(here, db.may)
		var hang atomic.Bool
		release := make(chan struct{})
		doors(there, func(ctx context.Context, user *auth.Identity, room string) error {
			if hang.Load() && user.Subject == "slow" {
				<-release
			}
			return db.may(ctx, user, room)
		})
		d := siotest.Pipes(t, there)
		slow := d.Connect(t, "/", withToken(token(t, claims{"sub": "slow"})))
		ann := d.Connect(t, "/", withToken(token(t, nil)))
		must(t, slow.Ask("join", []string{"lobby"}).Err())
		must(t, ann.Ask("join", []string{"lobby", "team:red"}).Err())
		hang.Store(true)
		must(t, rooms.Recheck(t.Context(), "slow"))
		synctest.Wait()
		for i := range 10_001 {
			must(t, rooms.Recheck(t.Context(), fmt.Sprint("user", i)))
			if i%1000 == 0 {
				synctest.Wait() // or the queue of the server is full
			}
		}
		db.set("ann")
		must(t, rooms.Recheck(t.Context(), "ann"))
		synctest.Wait()
		hang.Store(false)
		close(release)
		wantLeft(t, ann, "team:red")
		wantRooms(t, ann, "lobby")
		wantRooms(t, slow, "lobby")
		if text := log.String(); strings.Contains(text, "level=ERROR") {
			t.Errorf("logged %s", text)
		}
		must(t, here.Shutdown(context.Background()))
		must(t, there.Shutdown(context.Background()))
	})
}
