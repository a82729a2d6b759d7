package forward_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// poll polls at a stranger, and returns when the poll waits at the server that has the session.
func poll(t *testing.T, a, b *node, sid string) (answer chan string) {
	t.Helper()
	a.request(t, http.MethodGet, sid, "", nil) // the answer to the CONNECT
	answer = make(chan string, 1)
	go func() {
		status, text, _ := a.request(t, http.MethodGet, sid, "", nil)
		answer <- http.StatusText(status) + " " + text
	}()
	eventually(t, "the poll waits", func() bool { return b.router.Stats().Received == 2 && a.router.Stats().Pending == 1 })
	return answer
}

func pair(t *testing.T, o startOptions) (a, b *node, w *wire, sid string) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	a, b = nodes[0], nodes[1]
	if !o.broker {
		w = newWire(t, b)
	}
	return a, b, w, b.open(t)
}

// A server that dies takes its sessions with it: the client gets an answer at once, and
// connects again.
func TestTheOwnerDies(t *testing.T) {
	t.Parallel()
	t.Run("while a poll waits", func(t *testing.T) {
		t.Parallel()
		a, b, w, sid := pair(t, startOptions{})
		answer := poll(t, a, b, sid)
		w.die()
		if got := <-answer; got != `Bad Request {"code":1,"message":"Session ID unknown"}` {
			t.Errorf("got %q", got)
		}
		a.want(t, http.MethodGet, sid, "", unknownSession)
		if n := a.router.Stats().Failed; n != 2 {
			t.Errorf("%d requests failed", n)
		}
	})
	t.Run("only the connection ends", func(t *testing.T) {
		t.Parallel()
		a, b, w, sid := pair(t, startOptions{})
		answer := poll(t, a, b, sid)
		w.cut()
		if got := <-answer; got != "Bad Gateway " {
			t.Errorf("got %q", got)
		}
		eventually(t, "the session ends", func() bool { return b.ClientsCount() == 0 })
		a.want(t, http.MethodGet, sid, "", unknownSession)
	})
	t.Run("and the cluster notices", func(t *testing.T) {
		t.Parallel()
		overBoth(t, testTheClusterNotices)
	})
	t.Run("under a WebSocket", func(t *testing.T) {
		t.Parallel()
		nodes := startCluster(t, 2, startOptions{})
		w := newWire(t, nodes[0])
		c := strangers(t, nodes).Polling(t)
		c.Upgrade()
		w.die()
		if _, err := c.TryNext(); err == nil {
			t.Error("the WebSocket is open")
		}
	})
}

// A server that hangs is given up when the cluster gives it up.
func TestTheOwnerHangs(t *testing.T) {
	t.Parallel()
	a, b, w, sid := pair(t, startOptions{})
	w.stall()
	w.cut()
	answer := make(chan int, 1)
	go func() {
		status, _, _ := a.request(t, http.MethodPost, sid, `42["count",1]`, nil)
		answer <- status
	}()
	eventually(t, "it waits", func() bool { return a.router.Stats().Pending == 1 })
	b.leave()
	if status := <-answer; status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
}

// A client that goes away while it polls ends its session, as if it had polled there.
func TestTheClientDies(t *testing.T) {
	t.Parallel()
	overBoth(t, testTheClientDies)
}

func testTheClientDies(t *testing.T, o startOptions) {
	t.Helper()
	a, b, _, sid := pair(t, o)
	ended := make(chan string, 1)
	reason := make(chan struct{})
	go func() {
		eventually(t, "the session ends", func() bool { return b.ClientsCount() == 0 })
		close(reason)
	}()
	a.request(t, http.MethodGet, sid, "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.web.URL+"/socket.io/?EIO=4&transport=polling&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, text, _ := send(t, a.web.Client(), req)
		ended <- text
	}()
	eventually(t, "the poll waits", func() bool { return b.router.Stats().Received == 2 && a.router.Stats().Pending == 1 })
	cancel()
	<-reason
	<-ended
	eventually(t, "nothing is left", func() bool { return a.router.Stats().Pending == 0 })
}

// A server that shuts down has the polls answered that it has forwarded: the sessions of
// other servers go on.
func TestTheForwarderShutsDown(t *testing.T) {
	t.Parallel()
	t.Run("polling", func(t *testing.T) {
		t.Parallel()
		overBoth(t, testTheForwarderShutsDown)
	})
	t.Run("upgrade", func(t *testing.T) {
		t.Parallel()
		nodes := startCluster(t, 2, startOptions{})
		c := strangers(t, nodes).Polling(t)
		c.Upgrade()
		c.Connect("/", "")
		if n := nodes[1].router.Stats().Tunnels; n != 1 {
			t.Errorf("%d tunnels", n)
		}
		nodes[1].stop(t)
		if _, err := c.TryNext(); err == nil {
			t.Error("the WebSocket is open")
		}
		eventually(t, "the session ends", func() bool { return nodes[0].ClientsCount() == 0 })
	})
}

// A server that shuts down tells its clients, also those of other servers' connections.
func TestTheOwnerShutsDown(t *testing.T) {
	t.Parallel()
	t.Run("polling", func(t *testing.T) {
		t.Parallel()
		overBoth(t, testTheOwnerShutsDown)
	})
	t.Run("upgrade", func(t *testing.T) {
		t.Parallel()
		nodes := startCluster(t, 2, startOptions{})
		c := strangers(t, nodes).Polling(t)
		c.Upgrade()
		c.Connect("/", "")
		stopped := make(chan struct{})
		go func() {
			nodes[0].stop(t)
			close(stopped)
		}()
		c.UntilClosed()
		c.Abort()
		<-stopped
		eventually(t, "no tunnel is left", func() bool { return nodes[1].router.Stats().Tunnels == 0 })
	})
}

// A server that drains refuses new clients. Those that poll through another server get the same
// answer as its own: they connect again by themselves.
func TestTheOwnerDrains(t *testing.T) {
	t.Parallel()
	overBoth(t, testTheOwnerDrains)
}

func testTheOwnerDrains(t *testing.T, o startOptions) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	answer := poll(t, a, b, sid)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Drain(ctx, &sio.DrainOptions{Spread: time.Millisecond}); err != nil {
		t.Error(err)
	}
	if got := <-answer; got != "Service Unavailable " {
		t.Errorf("got %q", got)
	}
	if o.broker {
		b.leave() // as a server does that has shut down
	}
	a.want(t, http.MethodGet, sid, "", unknownSession)
}

// Beyond MaxTunnels, clients stay with polling.
func TestMaxTunnels(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 2, startOptions{forward: forward.Options{MaxTunnels: 1}})
	d := strangers(t, nodes)
	first := d.Polling(t)
	first.Upgrade()
	first.Connect("/", "")
	second := d.Polling(t)
	second.Connect("/", "")
	if status := upgradeStatus(t, d, second.SID()); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	second.Send(`421["echo","polling"]`)
	second.Want(`431["polling"]`)
	first.Send(`421["echo","WebSocket"]`)
	first.Want(`431["WebSocket"]`)
	if s := nodes[1].router.Stats(); s.Tunnels != 1 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	first.Abort()
	eventually(t, "no tunnel is left", func() bool { return nodes[1].router.Stats().Tunnels == 0 })
}

// upgradeStatus asks for a WebSocket, and returns the status of the answer.
func upgradeStatus(t *testing.T, d siotest.Dialer, sid string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Endpoint("EIO", "4", "transport", "websocket", "sid", sid), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	res, err := d.HTTP(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// Servers with different secrets do not work together, and say so once.
func TestDifferentSecrets(t *testing.T) {
	t.Parallel()
	overBoth(t, testDifferentSecrets)
}

func testDifferentSecrets(t *testing.T, o startOptions) {
	t.Helper()
	r := new(registry)
	a := start(t, r, 0, o)
	o.forward.Secret = "the secret of another cluster"
	b := start(t, r, 1, o)
	sid := b.open(t)
	for range 3 {
		a.want(t, http.MethodGet, sid, "", "502")
	}
	strangers := uint64(3)
	if !o.broker {
		strangers++
		if status := upgradeStatus(t, a.dialer(), sid); status != http.StatusBadGateway {
			t.Errorf("status %d", status)
		}
	}
	if lines := a.log.take(); len(lines) != 1 {
		t.Errorf("logged %q", lines)
	}
	if n := b.router.Stats().Strangers; n != strangers {
		t.Errorf("%d requests of strangers", n)
	}
}

// A limit of middleware ends a poll at another server in time.
func TestDeadlineOfMiddleware(t *testing.T) {
	t.Parallel()
	overBoth(t, testDeadlineOfMiddleware)
}

func testDeadlineOfMiddleware(t *testing.T, o startOptions) {
	t.Helper()
	r := new(registry)
	const limit = 2 * time.Second
	limited := o
	limited.wrap = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			ctx, cancel := context.WithTimeout(req.Context(), limit)
			defer cancel()
			h.ServeHTTP(w, req.WithContext(ctx))
		})
	}
	a := start(t, r, 0, limited)
	b := start(t, r, 1, o)
	sid := b.open(t)
	a.request(t, http.MethodGet, sid, "", nil)
	a.want(t, http.MethodGet, sid, "", "200 6")
	a.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	a.want(t, http.MethodGet, sid, "", `200 42["counted",1]`)
}

func testTheClusterNotices(t *testing.T, o startOptions) {
	t.Helper()
	a, b, _, sid := pair(t, o)
	answer := poll(t, a, b, sid)
	b.leave()
	if got := <-answer; got != `Bad Request {"code":1,"message":"Session ID unknown"}` {
		t.Errorf("got %q", got)
	}
	a.want(t, http.MethodGet, sid, "", unknownSession)
	a.want(t, http.MethodPost, sid, "2", unknownSession)
	a.wantStats(t, forward.Stats{Forwarded: 2, Failed: 1})
}

func testTheForwarderShutsDown(t *testing.T, o startOptions) {
	t.Helper()
	a, b, _, sid := pair(t, o)
	answer := poll(t, a, b, sid)
	go a.stop(t)
	if got := <-answer; got != "OK 6" {
		t.Errorf("got %q, want a noop", got)
	}
	b.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	b.want(t, http.MethodGet, sid, "", `200 42["counted",1]`)
}

func testTheOwnerShutsDown(t *testing.T, o startOptions) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	answer := poll(t, a, b, sid)
	b.stop(t)
	if got := <-answer; got != "OK 1" {
		t.Errorf("got %q, want the close packet", got)
	}
	a.want(t, http.MethodGet, sid, "", unknownSession)
}
