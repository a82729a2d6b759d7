package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// A revoker is a server with a list of revocations.
type revoker struct {
	*sio.Server
	siotest.Dialer

	list *auth.Revocations
	log  *logbook
}

func newRevoker(t *testing.T, cluster adapter.Cluster, opts *auth.RevocationsOptions) revoker {
	t.Helper()
	r := revoker{log: new(logbook)}
	r.Server = sio.New(&sio.Options{Adapter: cluster, Logger: r.log.logger()})
	t.Cleanup(func() { must(t, r.Shutdown(context.Background())) })
	r.list = auth.NewRevocations(r.Server, opts)
	for _, ns := range []*sio.Namespace{r.Namespace, r.OfFunc(func(string, *sio.Handshake) bool { return true })} {
		ns.UseConnect(auth.Require(hs256(), auth.Revoked(r.list.Contains)))
	}
	who(r.Server)
	r.Dialer = siotest.Pipes(t, r.Server)
	return r
}

// mustRefuse fails unless a token is refused as revoked, or accepted if not.
func (r revoker) mustRefuse(t *testing.T, refused bool, c claims) {
	t.Helper()
	p, err := r.TryConnect(t, "/", map[string]string{"token": token(t, c)})
	if got := err != nil && err.Error() == "token revoked"; got != refused || !refused && err != nil {
		t.Errorf("%v: error %v, want refused: %t", c, err, refused)
	}
	if err == nil {
		p.Disconnect()
	}
}

// What is revoked on one server is disconnected and refused on all of them, in all
// namespaces.
func TestRevocationsOfACluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := adapter.NewMemory()
		one, two := newRevoker(t, cluster, nil), newRevoker(t, cluster, nil)
		ann, other := enter(t, two.Dialer, token(t, nil)), enter(t, two.Dialer, token(t, claims{"sub": "bob", "jti": "7"}))
		child := two.WebSocket(t)
		child.Send(`40/child,{"token":"` + token(t, nil) + `"}`)
		child.Next()
		must(t, one.list.Subject("ann"))
		ann.Want(tokenRevoked, "41")
		child.Want(`42/child,["token_revoked",{"code":"token_revoked"}]`, "41/child,")
		answer(t, other, `["who"]`, `["bob bob"]`)
		must(t, two.list.Token("7"))
		other.Want(tokenRevoked, "41")
		must(t, one.list.Subject(""))
		must(t, one.list.Token(""))
		synctest.Wait()
		now := time.Now().Unix()
		for _, r := range []revoker{one, two} {
			r.mustRefuse(t, true, nil)
			r.mustRefuse(t, true, claims{"iat": now - 1})
			r.mustRefuse(t, true, claims{"iat": now + 5}) // clocks differ
			r.mustRefuse(t, false, claims{"iat": now + 6})
			r.mustRefuse(t, true, claims{"sub": "bob", "jti": "7", "iat": now + 6})
			r.mustRefuse(t, false, claims{"sub": "bob", "jti": "8"})
			r.mustRefuse(t, false, claims{"sub": "7"})
		}
	})
}

// A server that starts later asks the others, and disconnects whom it has let in before.
func TestServersThatStartLaterAskForRevocations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := adapter.NewMemory()
		one := newRevoker(t, cluster, nil)
		must(t, one.list.Token("x"))
		for i := range 1200 { // more than one event has
			must(t, one.list.Subject(fmt.Sprint("user", i)))
		}
		must(t, one.list.Subject("ann"))
		time.Sleep(time.Hour)
		two := newRevoker(t, cluster, nil)
		early := enter(t, two.Dialer, token(t, nil))
		late := enter(t, two.Dialer, token(t, claims{"iat": time.Now().Unix()})) // has signed in again
		time.Sleep(2 * time.Second)
		early.Want(tokenRevoked, "41")
		answer(t, late, `["who"]`, `["ann ann"]`)
		two.mustRefuse(t, true, nil)
		two.mustRefuse(t, true, claims{"sub": "user0"})
		two.mustRefuse(t, true, claims{"sub": "user1199"})
		two.mustRefuse(t, true, claims{"sub": "bob", "jti": "x"})
	})
}

// They are remembered for as long as on the first server.
func TestRevocationsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := adapter.NewMemory()
		opts := &auth.RevocationsOptions{Keep: time.Hour}
		one := newRevoker(t, cluster, opts)
		must(t, one.list.Subject("ann"))
		time.Sleep(30 * time.Minute)
		two := newRevoker(t, cluster, opts)
		time.Sleep(30*time.Minute - time.Second)
		one.mustRefuse(t, true, nil)
		two.mustRefuse(t, true, nil)
		time.Sleep(time.Second)
		one.mustRefuse(t, false, nil)
		two.mustRefuse(t, false, nil)
	})
}

func TestRevocationsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log logbook
		r := newRevoker(t, nil, &auth.RevocationsOptions{Max: 2, Logger: log.logger()})
		for _, name := range []string{"a", "b", "b", "c", "d"} {
			must(t, r.list.Subject(name))
			time.Sleep(time.Second)
		}
		for name, refused := range map[string]bool{"a": false, "b": false, "c": true, "d": true} {
			r.mustRefuse(t, refused, claims{"sub": name})
		}
		if n := strings.Count(log.String(), "the list of revocations is full: the oldest is forgotten"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		if r.list.Subject(strings.Repeat("x", 1025)) == nil || r.list.Token(strings.Repeat("x", 1024)) != nil {
			t.Error("the limit of a subject is another one")
		}
	})
}

// A lossy cluster loses messages while it is told to, or says that it cannot take them.
type lossy struct {
	adapter.Cluster

	loses, fails atomic.Bool
	lost         atomic.Uint64
}

type lossyAdapter struct {
	adapter.Adapter

	cluster *lossy
}

func (c *lossy) Join(namespace string, n adapter.Node) adapter.Adapter {
	return lossyAdapter{c.Cluster.Join(namespace, n), c}
}

func (c *lossy) Status() adapter.Status { return adapter.Status{Healthy: true, Lost: c.lost.Load()} }

func (a lossyAdapter) Publish(m *adapter.Message) error {
	switch {
	case a.cluster.fails.Load():
		return errors.New("the queue is full")
	case a.cluster.loses.Load():
		a.cluster.lost.Add(1)
		return nil
	}
	return a.Adapter.Publish(m)
}

// Status hides that of Memory.
func (a lossyAdapter) Status() adapter.Status { return a.cluster.Status() }

// What was lost is sent again when the adapter says so, or when it did not take it.
func TestRevocationsThatWereLost(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]bool{"lost": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cluster := &lossy{Cluster: adapter.NewMemory()}
				one, two := newRevoker(t, cluster, nil), newRevoker(t, cluster, nil)
				time.Sleep(time.Minute)
				cluster.fails.Store(fails)
				cluster.loses.Store(true)
				if err := one.list.Subject("ann"); (err != nil) != fails {
					t.Errorf("error %v", err)
				}
				cluster.fails.Store(false)
				cluster.loses.Store(false)
				one.mustRefuse(t, true, nil)
				two.mustRefuse(t, false, nil)
				time.Sleep(time.Minute + 2*time.Second)
				two.mustRefuse(t, true, nil)
			})
		})
	}
}

// A broken node sends what no server sends.
func TestRevocationsAreUntrusted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := adapter.NewMemory()
		var log logbook
		r := newRevoker(t, cluster, &auth.RevocationsOptions{Logger: log.logger()})
		node := cluster.Join("/", deaf{})
		defer func() { must(t, node.Close()) }()
		now := time.Now().UnixMilli()
		entry := fmt.Sprintf(`{"id":"bob","at":%d}`, now)
		for _, data := range []string{
			`["sioplug:revoked"]`, `["sioplug:revoked",1]`, `["sioplug:revoked",{"id":"ann"}]`, `["sioplug:revoked",null]`,
			`["sioplug:revoked",[{"id":"","at":1},{"id":7}]]`,
			`["sioplug:revoked",[{"id":"ann","at":1}]]`, `["sioplug:revoked",[{"id":"ann","at":-9223372036854775808}]]`,
			`["sioplug:revoked",[{"id":"ann","at":9223372036854775807}]]`,
			fmt.Sprintf(`["sioplug:revoked",[{"id":"ann","at":%d}]]`, now+3600_001),
			fmt.Sprintf(`["sioplug:revoked",[{"id":%q,"at":%d}]]`, strings.Repeat("x", 1025), now),
			`["sioplug:revoked",[` + entry + strings.Repeat(","+entry, 500) + `]]`,
		} {
			must(t, node.Publish(&adapter.Message{Kind: adapter.ServerEvent, Data: []byte(data)}))
		}
		synctest.Wait()
		r.mustRefuse(t, false, nil)
		r.mustRefuse(t, false, claims{"sub": "bob"})
		must(t, node.Publish(&adapter.Message{Kind: adapter.ServerEvent, Data: []byte(`["sioplug:revoked",[{"id":""},` + entry + `]]`)}))
		synctest.Wait()
		r.mustRefuse(t, true, claims{"sub": "bob"})
		for _, l := range []*logbook{&log, r.log} {
			if s := l.String(); strings.Contains(s, "level=ERROR") || strings.Contains(s, "level=WARN") {
				t.Errorf("logged above Debug: %s", s)
			}
		}
	})
}

// A deaf node is a server without revocations, such as one in Node.js.
type deaf struct{}

func (deaf) Receive(*adapter.Message) {}

func (deaf) Answer(context.Context, *adapter.Message, func(*adapter.Reply)) {}

// Applications can neither handle nor emit the events of revocations.
func TestEventsOfRevocationsAreReserved(t *testing.T) {
	t.Parallel()
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	defer func() {
		must(t, srv.Shutdown(context.Background()))
		if recover() == nil {
			t.Error("an application may handle the event")
		}
	}()
	if err := srv.ServerSideEmit("sioplug:revoked"); !errors.Is(err, sio.ErrReservedEvent) {
		t.Errorf("ServerSideEmit: %v", err)
	}
	for a := range sio.ServerSideEmitWithAck[int](t.Context(), srv.Namespace, "sioplug:revoked") {
		if !errors.Is(a.Err, sio.ErrReservedEvent) {
			t.Errorf("ServerSideEmitWithAck: %v", a.Err)
		}
	}
	srv.OnServerEvent("sioplug:x", func(context.Context, sio.Args) (any, error) { return 1, nil })
}
