package sio_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSIO_CSR_11_ASessionIsRestoredOnce(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		clone := *v
		v.connect(t, d.WebSocket(t))
		clone.connect(t, d.WebSocket(t)) // takes the connection over, as a client does that was cut again
		v.UntilClosed()
		third := *v
		if third.connect(t, d.WebSocket(t)); third.id != clone.id {
			t.Error("the session was lost")
		}
		must(t, srv.To(third.id).Emit("one"))
		third.want(t, `42["one"]`)
	})
}

// A log takes its time, and a client does not wait for it: the connection that it
// gave up must not end up with a session that the next one looks for.
func TestASessionIsTakenOverWhileItIsBeingClaimed(t *testing.T) {
	l := &slowLog{Log: adapter.NewMemoryLog(adapter.MemoryLogOptions{})}
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log { return l }}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		l.claims = make(chan struct{})
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		first := d.WebSocket(t)
		first.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
		synctest.Wait() // it has the session now, but the server does not know
		go func() {
			synctest.Wait()
			close(l.claims)
		}()
		old := v.id
		if v.connect(t, d.WebSocket(t)); v.id != old {
			t.Error("the session was lost")
		}
		first.UntilClosed()
	})
}

// A slowLog takes a session out and then waits until claims is closed.
type slowLog struct {
	adapter.Log

	claims chan struct{}
}

func (l *slowLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	s, err := l.Log.Claim(ctx, pid, offset)
	<-l.claims
	return s, err
}

// A phone changes from one network to another: it is back before the server can
// know that it has gone.
func TestClientsRecoverBeforeTheServerKnowsThatTheyAreGone(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				left := reasons(srv.Namespace)
				srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a") })
				v := arrive(t, srv, open(t, d))
				old := v.id
				must(t, srv.To("a").Emit("into the void"))
				if missed := v.connect(t, open(t, d)); v.id != old || !slices.Equal(missed, []string{`42["into the void"]`}) {
					t.Errorf("missed %q, same id: %v", missed, v.id == old)
				}
				mustReason(t, left, sio.ReasonForcedClose)
				must(t, srv.To("a").Emit("e"))
				v.want(t, `42["e"]`)
			})
		})
	}
}
