package forward_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
)

// A handover is a request for a WebSocket, of an HTTP server that hands its connection over
// when the test wants it to.
type handover struct {
	req     engine.Request
	opening chan func(engine.Upgraded) func()
	fail    error
	answer  engine.Response
}

func newHandover(sid string) *handover {
	query := "EIO=4&transport=websocket&sid=" + sid
	return &handover{
		opening: make(chan func(engine.Upgraded) func(), 1),
		req: engine.Request{
			Method: http.MethodGet, Path: "/socket.io/", URI: "/socket.io/?" + query, Host: "server", ClientIP: "192.0.2.1",
			Query: engine.ParseQuery(query), Header: http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
				"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			},
		},
	}
}

func (x *handover) Request() *engine.Request { return &x.req }
func (*handover) Values() context.Context    { return context.Background() }

func (x *handover) Respond(res engine.Response) error {
	x.answer = res
	return nil
}

func (x *handover) Upgrade(_ http.Header, open func(engine.Upgraded) func()) error {
	if x.fail == nil {
		x.opening <- open
	}
	return x.fail
}

// Some HTTP servers hand a connection over late, or never. Nothing is kept for it.
func TestConnectionsThatAreNotHandedOver(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 2, startOptions{server: sio.Options{UpgradeTimeout: 100 * time.Millisecond}})
	a, b := nodes[0], nodes[1]
	x := newHandover(b.open(t))
	a.Serve(t.Context(), x)
	open := <-x.opening
	eventually(t, "the tunnel is closed", func() bool { return a.router.Stats().Tunnels == 0 })
	server, client := net.Pipe()
	done := make(chan struct{})
	open(engine.Upgraded{Conn: server, Done: func() { close(done) }})() // too late
	<-done
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

// A connection that cannot be taken over is answered as without forwarding.
func TestConnectionsThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 2, startOptions{})
	a, b := nodes[0], nodes[1]
	x := newHandover(b.open(t))
	x.fail = errors.New("no way")
	a.Serve(t.Context(), x)
	if x.answer.Status != http.StatusInternalServerError {
		t.Errorf("status %d", x.answer.Status)
	}
	if lines := a.log.take(); len(lines) != 1 {
		t.Errorf("logged %q", lines)
	}
	eventually(t, "the tunnel is closed", func() bool { return a.router.Stats().Tunnels == 0 })
}

// The HTTP server is told when its connection is not used any more.
func TestTunnelsEndWithTheirConnections(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *node, client net.Conn){
		"the client's": func(_ *node, client net.Conn) { _ = client.Close() },
		"the server's": func(b *node, _ net.Conn) { _ = b.Broadcast().Close() },
		"the server":   func(b *node, _ net.Conn) { b.leave() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := startCluster(t, 2, startOptions{server: sio.Options{UpgradeTimeout: time.Second}})
			a, b := nodes[0], nodes[1]
			x := newHandover(b.open(t))
			a.Serve(t.Context(), x)
			server, client := net.Pipe()
			done := make(chan struct{})
			go (<-x.opening)(engine.Upgraded{Conn: server, Head: []byte("head"), Done: func() { close(done) }})()
			head := make([]byte, 4)
			if _, err := client.Read(head); err != nil || string(head) != "head" {
				t.Errorf("%q, %v", head, err)
			}
			end(b, client)
			<-done
			eventually(t, "the tunnel is closed", func() bool { return a.router.Stats().Tunnels == 0 })
			_ = client.Close()
		})
	}
}
