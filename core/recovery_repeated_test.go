package sio_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A picky client closes its connection when it gets a certain event, as the official one
// does with more binary values than it accepts.
func (v *visitor) picky(t *testing.T, c *siotest.Client, poison string) (connected bool) {
	t.Helper()
	v.Client = c
	c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
	for {
		p := c.Next()
		switch {
		case strings.HasPrefix(p, "40"):
			return true
		case strings.Contains(p, poison):
			c.Abort()
			synctest.Wait()
			return false
		}
		v.event(t, p)
	}
}

// An event that a client refuses is not replayed for ever.
func TestAnEventThatTheClientRefusesIsReplayedOnce(t *testing.T) {
	log := new(logbook)
	opts := &sio.Options{Logger: slog.New(log), ConnectionStateRecovery: &sio.Recovery{}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		must(t, srv.Emit("fine"))
		must(t, srv.Emit("poison"))
		id := v.id
		for i := range 2 { // the first time it got as far as there
			if v.picky(t, d.WebSocket(t), "poison") {
				t.Fatalf("return %d: nothing was replayed", i)
			}
		}
		if missed := v.connect(t, d.WebSocket(t)); len(missed) > 0 || v.id == id {
			t.Errorf("missed %q, same id: %v", missed, v.id == id)
		}
		line := log.one(t, "session not recovered")
		if !strings.HasPrefix(line, "DEBUG") || !strings.Contains(line, "took nothing of what it missed") {
			t.Errorf("logged %s", line)
		}
		log.mustBeQuiet(t)
		must(t, srv.Emit("e"))
		v.want(t, `42["e"]`)
	})
}

// The client was connected when it got the event.
func TestAnEventThatTheClientRefusedLiveIsReplayedOnce(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		must(t, srv.Emit("poison"))
		v.Next()
		v.Abort()
		synctest.Wait()
		id := v.id
		if v.picky(t, d.WebSocket(t), "poison") {
			t.Fatal("nothing was replayed")
		}
		if missed := v.connect(t, d.WebSocket(t)); len(missed) > 0 || v.id == id {
			t.Errorf("missed %q, same id: %v", missed, v.id == id)
		}
	})
}

// An event is larger than what may wait for a client.
func TestAnEventThatDoesNotFitIsReplayedOnce(t *testing.T) {
	opts := &sio.Options{MaxSendBuffer: 10_000, ConnectionStateRecovery: &sio.Recovery{}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		must(t, srv.Emit("large", strings.Repeat("x", 20_000)))
		must(t, srv.Emit("small"))
		for range 3 {
			c := d.WebSocket(t)
			c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
			for {
				p, err := c.TryNext()
				if err != nil {
					break
				}
				if strings.HasPrefix(p, "40") {
					return // fresh, or with the event if that is sent nevertheless
				}
			}
			c.Abort()
			synctest.Wait()
		}
		t.Error("the client never comes back")
	})
}

// Where nothing was missed, nothing can have gone wrong.
func TestAClientThatMissesNothingMayComeBackAsOftenAsItLikes(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		for range 10 {
			v.mustMiss(t, d, "")
		}
		must(t, srv.Emit("e"))
		v.mustMiss(t, d, "", `42["e"]`)
	})
}

// A client whose connection breaks again and again while it is sent what it missed gets
// on, and misses nothing.
func TestAClientMayTakeWhatItMissedInSeveralReturns(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				const n = 300
				v := arrive(t, srv, open(t, d))
				v.Abort()
				synctest.Wait()
				var want, got []string
				for i := range n {
					must(t, srv.Emit("e", i, strings.Repeat("x", 1000)))
					want = append(want, fmt.Sprintf(`42["e",%d,"%s"]`, i, strings.Repeat("x", 1000)))
				}
				id := v.id
				for range 2 {
					v.Client = open(t, d)
					v.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
					for range n / 3 {
						got = append(got, v.event(t, v.Next()))
					}
					v.Abort()
					synctest.Wait()
				}
				got = append(got, v.connect(t, open(t, d))...)
				if v.id != id || !slices.Equal(got, want) {
					t.Errorf("got %d events, want %d in order; same id: %v", len(got), len(want), v.id == id)
				}
			})
		})
	}
}
