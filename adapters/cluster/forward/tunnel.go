package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// A tunnel connects the WebSocket of a client with the server that has the session. It passes
// bytes on, and knows nothing of frames.
type tunnel struct {
	router *Router
	server net.Conn
	ahead  []byte // what the server has sent behind its answer

	mu      sync.Mutex
	client  engine.Upgraded // Conn is nil until the connection has been handed over
	closed  bool
	timer   *time.Timer // until then
	unwatch func() bool // ends the watch on the other server
}

const (
	// tunnelBuffer is the memory that each direction of a tunnel reads into.
	tunnelBuffer = 4 << 10

	// lingerTimeout is how long one direction of a tunnel may go on when the other one has
	// ended. It is longer than the engine waits for the end of a WebSocket.
	lingerTimeout = 35 * time.Second
)

// upgrade connects a WebSocket through.
func (t route) upgrade(ctx context.Context, x engine.Exchange) error {
	if !t.router.mayOpenTunnel() {
		t.router.counters.refused.Add(1)
		return errFull
	}
	c, res, err := t.handshake(ctx, x.Request())
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		defer c.Close()
		defer res.Body.Close()
		response, err := readAnswer(res)
		if err != nil {
			return err
		}
		return answer(x, response)
	}
	header := answerHeader(res.Header)
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", "websocket")
	tun := &tunnel{router: t.router, server: c.Conn}
	if n := c.in.Buffered(); n > 0 {
		ahead, _ := c.in.Peek(n) // it is there
		tun.ahead = append(tun.ahead, ahead...)
	}
	if !t.router.addTunnel(tun) {
		_ = c.Close()
		return errClosed
	}
	tun.watch(t.peer.ctx, t.router.engine.UpgradeTimeout) //nolint:contextcheck // it outlives the request
	if err := x.Upgrade(header, tun.open); err != nil {
		tun.close()
		return fmt.Errorf("forward: taking the connection of the client: %w", err)
	}
	return nil
}

// handshake sends the handshake of a client to the server that has the session, and reads the
// answer.
func (t route) handshake(ctx context.Context, req *engine.Request) (*conn, *http.Response, error) {
	c, err := t.router.dial(ctx, t.peer.location.Address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	res, err := t.sendHandshake(c, req)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = c.Close()
		return nil, nil, fmt.Errorf("forward: %w", err)
	}
	return c, res, nil
}

func (t route) sendHandshake(c *conn, req *engine.Request) (*http.Response, error) {
	if err := c.SetDeadline(time.Now().Add(t.router.engine.UpgradeTimeout)); err != nil {
		return nil, err
	}
	header := forwardable(req.Header)
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", "websocket")
	var b bytes.Buffer
	h := headOf(req)
	t.appendHead(&b, http.MethodGet, &h, header)
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, err
	}
	if res.Header.Get(headName) == "" {
		return nil, errSecret
	}
	return res, c.SetDeadline(time.Time{})
}

func (r *Router) mayOpenTunnel() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tunnels) < r.opts.MaxTunnels
}

// addTunnel reports false if the router is closed.
func (r *Router) addTunnel(t *tunnel) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.tunnels[t] = struct{}{}
	r.running.Add(1)
	return true
}

// closeTunnels ends the WebSockets that lead through this server.
func (r *Router) closeTunnels() {
	r.mu.Lock()
	all := slices.Collect(maps.Keys(r.tunnels))
	r.mu.Unlock()
	for _, t := range all {
		t.close()
	}
}

// watch closes the tunnel when the other server has gone, and if the connection of the client
// is not handed over in time: some HTTP servers never do it if that breaks.
func (t *tunnel) watch(server context.Context, within time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.timer = time.AfterFunc(within, t.close)
	t.unwatch = context.AfterFunc(server, t.close)
}

// open takes the connection of the client. It returns the function that runs the tunnel.
func (t *tunnel) open(up engine.Upgraded) func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return func() {
			_ = up.Conn.Close()
			callDone(up)
		}
	}
	t.timer.Stop()
	t.client = up
	return t.run
}

func callDone(up engine.Upgraded) {
	if up.Done != nil {
		up.Done()
	}
}

// close closes both connections.
func (t *tunnel) close() {
	t.mu.Lock()
	first, client := !t.closed, t.client.Conn
	t.closed = true
	t.mu.Unlock()
	if !first {
		return
	}
	_ = t.server.Close()
	if client == nil {
		t.leave()
		return
	}
	_ = client.Close() // run ends
}

// leave takes the tunnel out of the router.
func (t *tunnel) leave() {
	t.mu.Lock()
	if t.timer != nil {
		t.timer.Stop()
		t.unwatch()
	}
	t.mu.Unlock()
	t.router.mu.Lock()
	delete(t.router.tunnels, t)
	t.router.mu.Unlock()
	t.router.running.Done()
}

// run passes bytes on in both directions until both have ended.
func (t *tunnel) run() {
	back := make(chan struct{})
	go func() { // ends with the connections
		defer close(back)
		t.pass(t.client.Conn, t.server, append(t.client.Head, t.ahead...))
	}()
	t.pass(t.server, t.client.Conn, t.client.Ahead)
	<-back
	t.close()
	callDone(t.client)
	t.leave()
}

// pass sends to dst what is there already, and what src sends. At the end of src, it ends the
// sending to dst. If something fails, both connections are closed.
func (t *tunnel) pass(dst, src net.Conn, first []byte) {
	_, err := dst.Write(first)
	if err == nil {
		_, err = io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, tunnelBuffer))
	}
	half, ok := dst.(interface{ CloseWrite() error })
	if err != nil || !ok {
		t.close()
		return
	}
	if err := errors.Join(half.CloseWrite(), dst.SetReadDeadline(time.Now().Add(lingerTimeout))); err != nil {
		t.close()
	}
}
