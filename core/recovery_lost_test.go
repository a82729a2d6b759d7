package sio_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// A forgetfulLog keeps events, and nothing else.
type forgetfulLog struct {
	adapter.Log

	later bool // it says so when it delivers
}

var errNotKept = errors.New("not kept")

func (l forgetfulLog) Append(m *adapter.Message, deliver func(offset string)) error {
	switch {
	case m.Kind == adapter.Broadcast:
		return l.Log.Append(m, deliver)
	case l.later:
		deliver("")
		return nil
	default:
		return errNotKept
	}
}

// Nobody knows what was done to those that are away, so none of them recovers.
func TestNobodyRecoversIfAMeasureCouldNotBeKept(t *testing.T) {
	for name, m := range measures() {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/later ", later), func(t *testing.T) {
				l := forgetfulLog{adapter.NewMemoryLog(adapter.MemoryLogOptions{}), later}
				opts := &sio.Options{
					Logger:                  slog.New(slog.DiscardHandler),
					ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log { return l }},
				}
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					g := arriveInSecret(t, srv, d)
					g.leave(t)
					if err := m.take(srv, g); !later && !errors.Is(err, errNotKept) {
						t.Errorf("error %v", err)
					}
					g.mustBeNobody(t, srv, d)
				})
			})
		}
	}
}

// A log that fails does not keep connected clients from being disconnected.
func TestMeasuresThatCannotBeKeptAreTakenAllTheSame(t *testing.T) {
	l := forgetfulLog{Log: adapter.NewMemoryLog(adapter.MemoryLogOptions{})}
	opts := &sio.Options{
		Logger:                  slog.New(slog.DiscardHandler),
		ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log { return l }},
	}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		g := arriveInSecret(t, srv, d)
		if err := srv.To("user").Leave("secret"); !errors.Is(err, errNotKept) {
			t.Errorf("error %v", err)
		}
		must(t, srv.To("secret").Emit("said", "after the kick"))
		if err := srv.To("user").Disconnect(); !errors.Is(err, errNotKept) {
			t.Errorf("error %v", err)
		}
		g.Want("41")
	})
}

// An adapter that fails does not keep this server's clients from anything.
func TestOtherServersThatCannotBeToldDoNotKeepThisOneFromActing(t *testing.T) {
	gone := errors.New("the broker is away")
	for name, publish := range map[string]func() error{
		"error": func() error { return gone },
		"panic": func() error { panic(gone) },
	} {
		t.Run(name, func(t *testing.T) {
			opts := &sio.Options{Adapter: lonelyCluster{adapter.NewMemory(), publish}}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				fails := func(err error) {
					t.Helper()
					if err == nil {
						t.Error("no error")
					}
				}
				c := d.WebSocket(t)
				id := c.Connect("/", "")
				synctest.Wait()
				fails(srv.To(id).Join("a"))
				fails(srv.To("a").Emit("e"))
				c.Want(`42["e"]`)
				fails(srv.To("a").Leave("a"))
				if got := srv.To("a").Sockets(); len(got) > 0 {
					t.Errorf("still in the room: %d", len(got))
				}
				fails(srv.To(id).Disconnect())
				c.Want("41")
				c.Connect("/", "")
				synctest.Wait()
				fails(srv.Broadcast().Close())
				c.Want("41")
			})
		})
	}
}

// A lonelyCluster cannot tell other servers.
type lonelyCluster struct {
	*adapter.Memory

	publish func() error
}

func (c lonelyCluster) Join(namespace string, node adapter.Node) adapter.Adapter {
	return lonelyAdapter{c.Memory.Join(namespace, node), c.publish}
}

type lonelyAdapter struct {
	adapter.Adapter

	publish func() error
}

func (a lonelyAdapter) Publish(*adapter.Message) error { return a.publish() }
