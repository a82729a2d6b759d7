package siotest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// everywhere runs f in a bubble, over pipes outside of one, and over a network.
// The server is shut down when f has returned.
func everywhere(t *testing.T, f func(t *testing.T, srv *sio.Server, d siotest.Dialer)) {
	t.Helper()
	over := func(network func(testing.TB, http.Handler) siotest.Dialer) func(*testing.T) {
		return func(t *testing.T) {
			srv := sio.New(nil)
			d := network(t, srv)
			t.Cleanup(func() { shutdown(t, srv) })
			f(t, srv, d)
		}
	}
	t.Run("bubble", func(t *testing.T) { synctest.Test(t, over(siotest.Pipes)) })
	t.Run("pipes", over(siotest.Pipes))
	t.Run("loopback", over(siotest.Loopback))
}

func shutdown(tb testing.TB, srv *sio.Server) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		tb.Error(err)
	}
}

func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s: -want +got:\n%s", what, diff)
	}
}

func TestPeerEvents(t *testing.T) {
	everywhere(t, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		chat := srv.Of("/chat")
		chat.OnConnect(func(c *sio.Ctx) error { return c.Emit("hi", c.ID()) })
		chat.On("post", func(c *sio.Ctx) error {
			var text string
			var picture []byte
			if err := c.Bind(&text, &picture); err != nil {
				return err
			}
			return c.Namespace().Emit("posted", text, map[string]any{"picture": picture}, picture[1:])
		})
		ada, bob := d.Connect(t, "/chat", nil), d.Connect(t, "chat", nil)
		for _, p := range []*siotest.Peer{ada, bob} {
			var id string
			p.Expect("hi", &id)
			same(t, "id", id, p.ID())
		}
		ada.Emit("post", "hello ½", []byte{0, 0xFF})
		for _, p := range []*siotest.Peer{ada, bob} {
			var text string
			var object struct{ Picture []byte }
			var rest []byte
			e := p.Expect("posted", &text, &object, &rest)
			same(t, "text", text, "hello ½")
			same(t, "picture", object.Picture, []byte{0, 0xFF})
			same(t, "rest", rest, []byte{0xFF})
			same(t, "len", e.Len(), 3)
			same(t, "wants an ack", e.WantsAck(), false)
			same(t, "text of the event", e.String(),
				`["posted","hello ½",{"picture":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]`)
		}
	})
}

func TestPeerAsks(t *testing.T) {
	everywhere(t, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("sum", func(c *sio.Ctx) error {
			var a, b int
			if err := c.Bind(&a, &b); err != nil {
				return err
			}
			return c.Ack(a+b, []byte("raw"))
		})
		srv.On("nothing", func(c *sio.Ctx) error { return c.Ack() })
		srv.On("own", func(c *sio.Ctx) error {
			return c.Ack(map[string]any{"error": map[string]any{"message": "x"}, "more": 1})
		})
		srv.On("fail", func(*sio.Ctx) error { return &sio.Error{Message: "sold out", Data: []int{1}} })
		p := d.Connect(t, "/", nil)
		second, first := p.Ask("sum", 3, 4), p.Ask("sum", 1, 2)
		var n, m int
		var raw []byte
		first.Bind(&n, &raw)
		second.Bind(&m)
		same(t, "sums", []int{n, m}, []int{3, 7})
		same(t, "raw", string(raw), "raw")
		same(t, "len", first.Len(), 2)
		same(t, "pending", first.Pending(), false)
		same(t, "error", first.Err(), error(nil))
		same(t, "no values", p.Ask("nothing").Len(), 0)
		same(t, "no error of ours", p.Ask("own").Err(), error(nil))
		err := p.Ask("fail").Err()
		failure, ok := errors.AsType[*sio.Error](err)
		if !ok {
			t.Fatalf("error %v", err)
		}
		same(t, "failure", failure, &sio.Error{Message: "sold out", Data: []any{1.0}})
	})
}

func TestPeerIsAsked(t *testing.T) {
	everywhere(t, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("buy", func(c *sio.Ctx) error {
			sure, err := sio.EmitWithAck[[]byte](c.Context(), c.Socket, "sure?", "really")
			if err != nil {
				return err
			}
			return c.Ack(sure)
		})
		p := d.Connect(t, "/", nil)
		receipt := p.Ask("buy")
		var word string
		question := p.Expect("sure?", &word)
		same(t, "word", word, "really")
		same(t, "pending", receipt.Pending(), true)
		question.Ack([]byte{1, 2})
		var got []byte
		receipt.Bind(&got)
		same(t, "receipt", got, []byte{1, 2})

		p.AutoAck("sure?", []byte{3})
		p.Ask("buy").Bind(&got)
		same(t, "receipt", got, []byte{3})
		p.ExpectNone()
	})
}

// The answer of AutoAck comes while the test's own goroutine waits for it.
func TestAutoAckWhileTheTestWaits(t *testing.T) {
	everywhere(t, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		for i := range 3 {
			d.Connect(t, "/", nil).AutoAck("how many", i)
		}
		sum := 0
		for a := range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast(), "how many") {
			if a.Err != nil {
				t.Error(a.Err)
			}
			sum += a.Value
		}
		same(t, "sum", sum, 3)
	})
}

func TestPeerIsRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			var login struct{ Token string }
			if err := c.Bind(&login); err != nil {
				return err
			}
			if login.Token != "secret" {
				return &sio.Error{Message: "not authorized", Data: map[string]string{"code": "E001"}}
			}
			return nil
		}))
		for _, auth := range []any{nil, map[string]string{"token": "x"}} {
			p, err := d.TryConnect(t, "/", auth)
			failure, ok := errors.AsType[*sio.Error](err)
			if !ok || p != nil {
				t.Fatalf("%v, %v", p, err)
			}
			want := &sio.Error{Message: "not authorized", Data: map[string]any{"code": "E001"}}
			same(t, "error", failure, want)
		}
		_, err := d.TryConnect(t, "/nowhere", nil)
		same(t, "error", err.Error(), "Invalid namespace")
		if p, err := d.TryConnect(t, "/", struct{ Token string }{"secret"}); err != nil || p.ID() == "" {
			t.Errorf("%v, %v", p, err)
		}
	})
}

func TestPeerEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(tb testing.TB, srv *sio.Server, p *siotest.Peer)
		client string
		server sio.Reason
	}{
		"the server has it leave": {
			func(_ testing.TB, srv *sio.Server, p *siotest.Peer) { _ = srv.To(p.ID()).Disconnect() },
			siotest.ServerDisconnect, sio.ReasonServerNamespaceDisconnect,
		},
		"the server ends": {
			func(tb testing.TB, srv *sio.Server, _ *siotest.Peer) { tb.Helper(); shutdown(tb, srv) },
			siotest.TransportClose, sio.ReasonServerShuttingDown,
		},
		"it leaves": {
			func(_ testing.TB, _ *sio.Server, p *siotest.Peer) { p.Disconnect() },
			siotest.ClientDisconnect, sio.ReasonClientNamespaceDisconnect,
		},
		"its network breaks": {
			func(_ testing.TB, _ *sio.Server, p *siotest.Peer) { p.Abort() },
			siotest.TransportClose, sio.ReasonTransportClose,
		},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				reasons := make(chan sio.Reason, 1)
				srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("last words") })
				srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { reasons <- r })
				p := d.Connect(t, "/", nil)
				last := p.Next()
				c.end(t, srv, p)
				same(t, "client's reason", p.Disconnected(), c.client)
				same(t, "server's reason", <-reasons, c.server)
				same(t, "last words", last.Name, "last words")
			})
		})
	}
}

// What came before the end can be taken after it.
func TestPeerTakesWhatCameBeforeTheEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error {
			return errors.Join(c.Emit("last words"), c.Disconnect())
		})
		p := d.Connect(t, "/", nil)
		same(t, "reason", p.Disconnected(), siotest.ServerDisconnect)
		p.Expect("last words")
	})
}

// A client that the test has forgotten goes on answering pings.
func TestPeerStaysInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(nil)
		p := siotest.Connect(t, srv, "/", nil)
		time.Sleep(72 * time.Hour)
		if err := srv.Emit("good morning"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.Expect("good morning")
		p.ExpectNone()
		time.AfterFunc(2*time.Hour, func() { _ = srv.Emit("lunch") }) // for which it costs nothing to wait
		p.Expect("lunch")
		same(t, "clients", srv.ClientsCount(), 1)
		p.Abort()
		synctest.Wait()
		same(t, "clients", srv.ClientsCount(), 0)
	})
}

// Headers and cookies are the Dialer's, and so are paths.
func TestDialerConnect(t *testing.T) {
	srv := sio.New(nil)
	got := make(chan string, 1)
	srv.OnConnect(func(c *sio.Ctx) error {
		got <- c.Handshake().URL + " " + c.Handshake().Header.Get("X-User")
		return nil
	})
	d := siotest.Pipes(t, http.StripPrefix("/tenant", srv))
	t.Cleanup(func() { shutdown(t, srv) })
	d.Header = http.Header{"X-User": {"ada"}}
	d.URL = strings.Replace(d.URL, "/socket.io/", "/tenant/socket.io/?x=1", 1)
	d.Connect(t, "/", nil)
	if url := <-got; !strings.Contains(url, "x=1") || !strings.HasSuffix(url, " ada") {
		t.Error(url)
	}
}
