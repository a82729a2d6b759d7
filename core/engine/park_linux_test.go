package engine_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// These tests run over real sockets, in real time: nothing else can be parked. They do not
// run at the same time as others, because they look for goroutines.

// parking is a kit whose connections are parked after their first message.
func parking(t *testing.T, opts engine.Options) *enginetest.Kit {
	t.Helper()
	opts.ParkIdle = true
	k := enginetest.New(t, opts)
	k.OnMessage = enginetest.Echo
	k.Work = func(*enginetest.Peer) {}
	return k
}

// parked returns a client whose connection is parked.
func parked(t *testing.T, k *enginetest.Kit) (*enginetest.Conn, *enginetest.Peer) {
	t.Helper()
	c := dialWebSocket(t, k)
	c.Text("4first")
	wantFrames(t, c, "4first")
	p := k.LastPeer()
	eventually(t, "its goroutine has ended", func() bool { return readLoops() == 0 })
	return c, p
}

// connectWebSocket opens a session over a socket. The client does not read before Resume.
func connectWebSocket(t *testing.T, k *enginetest.Kit) *enginetest.Conn {
	t.Helper()
	web := k.Listen()
	return handshakeOver(t, k, k.Connect(web), websocket, web.Listener.Addr().String(), web.URL)
}

// dialWebSocket opens a session over a socket.
func dialWebSocket(t *testing.T, k *enginetest.Kit) *enginetest.Conn {
	t.Helper()
	c := connectWebSocket(t, k)
	c.Resume()
	if got := c.Next(); !strings.HasPrefix(got, `0{"sid":"`) {
		t.Fatalf("open packet: %q", got)
	}
	return c
}

// readLoops returns how many goroutines read WebSockets.
func readLoops() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "(*wsTransport).read(")
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("not so: " + what)
		}
	}
}

func TestAParkedSessionGoesOn(t *testing.T) {
	k := parking(t, engine.Options{})
	c, p := parked(t, k)
	c.Text("4second")
	wantFrames(t, c, "4second")
	p.Send("from the server")
	wantFrames(t, c, "4from the server")
}

func TestAParkedSessionIsPinged(t *testing.T) {
	k := parking(t, engine.Options{PingInterval: 1100 * time.Millisecond, PingTimeout: 10 * time.Second})
	c := dialWebSocket(t, k)
	c.Text("4first")
	c.Text("4second")
	wantFrames(t, c, "4first", "4second", "2")
	c.Text("3")
	eventually(t, "the pong parks it", func() bool { return readLoops() == 0 })
	wantFrames(t, c, "2")
	c.Text("3")
	c.Text("4third")
	wantFrames(t, c, "4third")
}

// However a parked session ends, its connection is closed and forgotten.
func TestAParkedSessionEnds(t *testing.T) {
	for name, end := range map[string]struct {
		by     func(t *testing.T, k *enginetest.Kit, c *enginetest.Conn, p *enginetest.Peer)
		reason engine.Reason
		last   string // frames that the client gets
	}{
		"the client closes": {func(_ *testing.T, _ *enginetest.Kit, c *enginetest.Conn, _ *enginetest.Peer) {
			_ = c.Close()
		}, engine.TransportClose, ""},
		"the client resets": {func(t *testing.T, _ *enginetest.Kit, c *enginetest.Conn, _ *enginetest.Peer) {
			if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil { //nolint:errcheck // it is one
				t.Error(err)
			}
			_ = c.Close()
		}, engine.TransportClose, ""},
		"the client sends a close frame": {func(_ *testing.T, _ *enginetest.Kit, c *enginetest.Conn, _ *enginetest.Peer) {
			c.SendClose(1000)
		}, engine.TransportClose, "close_1000 end"},
		"the client breaks the protocol": {func(_ *testing.T, _ *enginetest.Kit, c *enginetest.Conn, _ *enginetest.Peer) {
			c.Raw([]byte{0xF8, 0x80, 1, 2, 3, 4})
		}, engine.TransportError, "close_1002"},
		"the server closes": {func(_ *testing.T, _ *enginetest.Kit, _ *enginetest.Conn, p *enginetest.Peer) {
			p.Send("bye")
			p.Session.Close(nil)
		}, engine.ForcedClose, "4bye close end"},
		"the server shuts down": {func(t *testing.T, k *enginetest.Kit, _ *enginetest.Conn, _ *enginetest.Peer) {
			k.Go(func() {
				if err := k.Shutdown(context.Background()); err != nil { // the test may end before
					t.Error(err)
				}
			})
		}, engine.ForcedClose, "close end"},
		"the shutdown takes too long": {func(t *testing.T, k *enginetest.Kit, _ *enginetest.Conn, _ *enginetest.Peer) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_ = k.Shutdown(ctx) // the client does not answer the close frame
		}, engine.ForcedClose, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := parking(t, engine.Options{})
			c, p := parked(t, k)
			end.by(t, k, c, p)
			for want := range strings.FieldsSeq(end.last) {
				got := strings.TrimSpace(c.Next())
				same(t, "frame", strings.ReplaceAll(got, " ", "_"), want)
				if end.reason == engine.ForcedClose && got == "close" {
					c.SendClose(1000)
				}
			}
			same(t, "reason", p.End().Reason, end.reason)
			_ = c.Close()
			eventually(t, "the server has forgotten it", func() bool { return k.Remembered() == 0 && readLoops() == 0 })
		})
	}
}

func TestAParkedSessionTimesOut(t *testing.T) {
	k := parking(t, engine.Options{PingInterval: 100 * time.Millisecond, PingTimeout: 100 * time.Millisecond})
	c, p := parked(t, k)
	same(t, "reason", p.End().Reason, engine.PingTimeout)
	_ = c.Close()
	eventually(t, "the server has forgotten it", func() bool { return k.Remembered() == 0 && readLoops() == 0 })
}

// A client that does not read is disconnected, parked or not.
func TestAParkedClientThatDoesNotRead(t *testing.T) {
	k := parking(t, engine.Options{MaxSendBuffer: 1 << 20})
	c := connectWebSocket(t, k)
	c.Text("4first")
	eventually(t, "it is parked", func() bool { return len(k.LastPeer().Messages()) == 1 && readLoops() == 0 })
	p := k.LastPeer()
	for range 100 {
		_ = p.Session.SendMessage(false, make([]byte, 1<<20))
	}
	same(t, "reason", p.End().Reason, engine.TransportError)
	_ = c.Close()
	eventually(t, "the server has forgotten it", func() bool { return k.Remembered() == 0 && readLoops() == 0 })
}
