package sio_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// These tests open so many connections that they do it by hand.

// A visit opens a WebSocket, sends CONNECT with the request or as soon as it
// has read the open packet, and returns the connection when the answer is there.
func visit(address string, eager bool) (*net.TCPConn, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("%T is no TCP connection", conn)
	}
	if err := greet(tcp, eager); err != nil {
		_ = tcp.Close()
		return nil, err
	}
	return tcp, nil
}

func greet(conn *net.TCPConn, eager bool) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var buf bytes.Buffer
	buf.WriteString("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	connect := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("40"))))
	if eager {
		buf.Write(connect)
	}
	if _, err := conn.Write(buf.Bytes()); err != nil {
		return err
	}
	r := bufio.NewReaderSize(conn, 512)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("handshake: %v, %w", res, err)
	}
	for _, want := range []string{`0{"sid":"`, `40{"sid":"`} {
		f, err := ws.ReadFrame(r)
		if err != nil || !strings.HasPrefix(string(f.Payload), want) {
			return fmt.Errorf("waiting for %s: %q, %w", want, f.Payload, err)
		}
		if want[1] == '{' && !eager {
			if _, err := conn.Write(connect); err != nil {
				return err
			}
		}
	}
	return nil
}

// quit closes with a reset, so that tens of thousands of ports do not stay
// behind in TIME_WAIT.
func quit(tb testing.TB, conn *net.TCPConn) {
	tb.Helper()
	must(tb, conn.SetLinger(0))
	must(tb, conn.Close())
}

func host(tb testing.TB, d siotest.Dialer) string {
	tb.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		tb.Fatal(err)
	}
	return u.Host
}

// visits opens and closes n connections, several at the same time.
func visits(tb testing.TB, d siotest.Dialer, n, parallel int) (answered int) {
	tb.Helper()
	address := host(tb, d)
	var left, good atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				conn, err := visit(address, i%2 == 0)
				if err != nil {
					tb.Errorf("visit %d: %v", i, err)
					return
				}
				good.Add(1)
				quit(tb, conn)
			}
		})
	}
	all.Wait()
	return int(good.Load())
}

// Others lose a CONNECT now and then that comes with the request, or as soon as
// the client has read the open packet: they begin to read before anybody
// listens.
func TestEveryConnectIsAnsweredHoweverEarlyItComes(t *testing.T) {
	n := 20_000
	switch {
	case raceDetector:
		n = 3_000
	case testing.Short():
		n = 1_000
	}
	var accepted atomic.Int64
	srv, d := loopback(t, nil)
	srv.OnConnect(func(*sio.Ctx) error { accepted.Add(1); return nil })
	if got := visits(t, d, n, 50); got != n {
		t.Errorf("%d of %d were answered", got, n)
	}
	eventually(t, "everyone has left", func() bool { return srv.ClientsCount() == 0 })
	eventually(t, "OnConnect has run for everyone", func() bool { return accepted.Load() == int64(n) })
}

func TestAThousandConnectionsLeaveNothingBehind(t *testing.T) {
	const n, allowed = 1000, 1 << 20
	srv, d := loopback(t, nil)
	srv.OnConnect(func(c *sio.Ctx) error { c.Context(); return c.Join("room", "own "+c.ID()) })
	visits(t, d, 100, 20) // what is kept for good is there now
	var before runtime.MemStats
	idle := func() bool { return srv.ClientsCount() == 0 && len(serverStacks()) == 0 }
	eventually(t, "the first have left", idle)
	heap(&before)
	goroutines := runtime.NumGoroutine()
	visits(t, d, n, 20)
	eventually(t, "all have left", idle)
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	var after runtime.MemStats
	eventually(t, "less than 1 MiB is left", func() bool {
		heap(&after)
		return int64(after.HeapAlloc)-int64(before.HeapAlloc) < allowed
	})
}

func heap(m *runtime.MemStats) {
	runtime.GC()
	runtime.GC() // what finalizers and pools held on to
	runtime.ReadMemStats(m)
}

// serverStacks returns the stacks of all goroutines that are in the engine or
// above, on behalf of some connection.
func serverStacks() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	var found []string
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		for _, pkg := range []string{"core/engine.", "internal/", "sioplug/core.("} {
			if strings.Contains(g, "github.com/sioplug/sioplug/"+strings.TrimPrefix(pkg, "sioplug/")) {
				found = append(found, g)
				break
			}
		}
	}
	return found
}

// idleVisitors opens n WebSockets that do nothing. It returns how many goroutines there were
// before.
func idleVisitors(t *testing.T, opts *sio.Options, n int) (srv *sio.Server, before int) {
	t.Helper()
	srv, d := loopback(t, opts)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello") })
	eventually(t, "other tests have ended", func() bool { return len(serverStacks()) == 0 })
	before = runtime.NumGoroutine()
	for i := range n {
		conn, err := visit(host(t, d), i%2 == 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { quit(t, conn) })
	}
	return srv, before
}

func TestAnIdleWebSocketCostsOneGoroutine(t *testing.T) {
	const n = 100
	_, before := idleVisitors(t, nil, n)
	eventually(t, "each has one", func() bool { return len(serverStacks()) == n })
	// Nothing of net/http is left for them either.
	eventually(t, "there are no others", func() bool { return runtime.NumGoroutine() <= before+n })
}

// With ParkIdle, all of them together have one.
func TestParkedWebSocketsCostNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux parks connections")
	}
	const n = 100
	srv, before := idleVisitors(t, &sio.Options{ParkIdle: true}, n)
	eventually(t, "they are parked", func() bool { return runtime.NumGoroutine() <= before+1 })
	if clients := srv.ClientsCount(); clients != n {
		t.Errorf("%d clients", clients)
	}
}

func TestAnIdlePollingClientCostsNoneBesideItsPoll(t *testing.T) {
	const n = 20
	srv, d := loopback(t, nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello") })
	eventually(t, "other tests have ended", func() bool { return len(serverStacks()) == 0 })
	clients := make([]*siotest.Client, n)
	for i := range clients {
		clients[i] = d.Polling(t)
		clients[i].Connect("/", "")
		clients[i].Want(`42["hello"]`)
	}
	eventually(t, "there is none between polls", func() bool { return len(serverStacks()) == 0 })
	for i, c := range clients {
		// Its handler is parked in Serve, on net/http's goroutine.
		go c.TryNext() //nolint:errcheck // it ends with the test
		eventually(t, "one for each poll", func() bool { return len(serverStacks()) == i+1 })
	}
	for _, g := range serverStacks() {
		if !strings.Contains(g, "net/http.(*conn).serve") {
			t.Errorf("not an HTTP handler:\n%s", g)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, srv.Shutdown(ctx))
	eventually(t, "none when all is over", func() bool { return len(serverStacks()) == 0 })
}
