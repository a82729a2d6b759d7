// Package network is a network that fails when a test wants it to: a TCP proxy.
package network

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Direction is one of the two of a connection.
type Direction int

// The directions.
const (
	Up   Direction = iota // from the client to the server
	Down                  // from the server to the client
)

// A Proxy is a network between clients and a server. It ends with the test.
type Proxy struct {
	listener *net.TCPListener
	running  sync.WaitGroup

	mu        sync.Mutex
	to        string
	closed    bool
	refusing  bool
	wires     map[*wire]struct{}
	passable  chan struct{} // closed unless there is a partition
	healed    func()        // closes it
	delayed   time.Duration
	forwarded [2]int64 // bytes
	next      *cut     // for the next connection
}

// A cut is for a connection that ends after a number of bytes.
type cut struct {
	direction Direction
	after     int64
	reset     bool
}

// A wire is one connection through a proxy.
type wire struct {
	near, far *net.TCPConn
	broken    chan struct{} // closed when it is cut
	once      sync.Once
	draining  bool // far has been told the end; written before broken is closed

	// Guarded by the proxy's mu:
	hole bool // it swallows everything
	cut  *cut // nil: it does not end by itself
}

// Start starts a network that works, in front of a server. It takes an address or a URL
// that begins with "http://".
func Start(tb testing.TB, to string) *Proxy {
	tb.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: l, wires: make(map[*wire]struct{})}
	p.passable, p.healed = passage()
	p.healed()
	p.Redirect(to)
	p.running.Go(p.serve)
	tb.Cleanup(p.end)
	return p
}

// passage returns a channel and the function that closes it.
func passage() (c chan struct{}, open func()) {
	c = make(chan struct{})
	return c, sync.OnceFunc(func() { close(c) })
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is Addr for HTTP.
func (p *Proxy) URL() string { return "http://" + p.Addr() }

// Target returns the address of the server.
func (p *Proxy) Target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to
}

// Redirect sends new connections to another server.
func (p *Proxy) Redirect(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = strings.TrimPrefix(to, "http://")
}

// Cut breaks all connections: the client sees a reset, and the server an end. New
// connections are possible at once.
func (p *Proxy) Cut() { p.cutAll(false) }

// Reset is Cut with a reset for the server, too. It may not see the last bytes.
func (p *Proxy) Reset() { p.cutAll(true) }

func (p *Proxy) cutAll(reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.wires {
		w.end(reset)
	}
}

// CutAfter has the next connection end as by Cut, or by Reset, as soon as n bytes have gone
// through in that direction.
func (p *Proxy) CutAfter(d Direction, n int64, reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = &cut{d, n, reset}
}

// Armed reports whether the connection of CutAfter has not come yet.
func (p *Proxy) Armed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != nil
}

// Partition lets nothing through in either direction until heal or Heal is called.
// Connections stay, and new ones seem to succeed. What was sent meanwhile arrives afterwards.
func (p *Proxy) Partition() (heal func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.healed()
	p.passable, p.healed = passage()
	return p.healed
}

// Heal ends a partition.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.healed()
}

// Swallow makes all connections half-open: they stay, and what either end sends vanishes,
// its end included, as behind a router that has forgotten them. New connections work.
func (p *Proxy) Swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.wires {
		w.hole = true
	}
}

// Refuse has new connections reset. The port stays taken, so that nobody else gets it.
func (p *Proxy) Refuse() { p.refuse(true) }

// Accept undoes Refuse.
func (p *Proxy) Accept() { p.refuse(false) }

func (p *Proxy) refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = on
}

// Delay makes each piece of data wait, one after the other on each connection.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delayed = d
}

// Bytes returns how much has gone through so far, in both directions.
func (p *Proxy) Bytes() int64 { return p.BytesOf(Up) + p.BytesOf(Down) }

// BytesOf is Bytes for one direction.
func (p *Proxy) BytesOf(d Direction) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forwarded[d]
}

// Conns returns how many connections there are.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.wires)
}

func (p *Proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Reset()
	p.running.Wait()
}

func (p *Proxy) serve() {
	for {
		near, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		p.mu.Lock()
		w := &wire{near: near, broken: make(chan struct{}), cut: p.next}
		p.next = nil
		p.wires[w] = struct{}{}
		refused := p.refusing || p.closed
		p.mu.Unlock()
		if refused {
			w.end(true)
		}
		p.running.Go(func() { p.connect(w) })
	}
}

// connect carries a connection until both ends have said their last word, or it is cut.
func (p *Proxy) connect(w *wire) {
	defer func() {
		w.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wires, w)
	}()
	if !p.dial(w) {
		return // the other end sees its connection end
	}
	var up sync.WaitGroup
	up.Go(func() { p.carry(w, Up, w.far, w.near) })
	p.carry(w, Down, w.near, w.far)
	up.Wait()
	w.close()
	if w.draining {
		_, _ = io.Copy(io.Discard, w.far)
		_ = w.far.Close()
	}
}

// dial connects to the server. It reports whether the connection was not cut meanwhile.
func (p *Proxy) dial(w *wire) bool {
	select {
	case <-w.broken:
		return false
	default:
	}
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.Target())
	if err != nil {
		return false
	}
	far, ok := conn.(*net.TCPConn)
	if !ok {
		_ = conn.Close()
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-w.broken:
		_ = far.Close()
		return false
	default:
		w.far = far
		return true
	}
}

// carry carries one direction.
func (p *Proxy) carry(w *wire, d Direction, to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !p.pass(w) {
			break
		}
		switch swallowed, goOn := p.forward(w, d, to, buf[:n]); {
		case !goOn:
			w.close()
			return
		case swallowed && err != nil:
			<-w.broken // the other end does not hear of it
			return
		}
		if errors.Is(err, io.EOF) { // the other direction goes on
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			break
		}
	}
	w.close()
}

// pass waits until a piece may go on. It reports whether the connection is still there.
func (p *Proxy) pass(w *wire) bool {
	p.mu.Lock()
	passable, delayed := p.passable, p.delayed
	p.mu.Unlock()
	if delayed > 0 {
		timer := time.NewTimer(delayed)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-w.broken:
			return false
		}
	}
	select {
	case <-passable:
		return true
	case <-w.broken:
		return false
	}
}

// forward writes a piece, unless the connection swallows it. goOn is false if the
// connection is cut.
func (p *Proxy) forward(w *wire, d Direction, to io.Writer, piece []byte) (swallowed, goOn bool) {
	p.mu.Lock()
	swallowed = w.hole
	c := w.cut
	last := c != nil && c.direction == d && c.after <= int64(len(piece))
	if last {
		piece = piece[:c.after]
	} else if c != nil && c.direction == d {
		c.after -= int64(len(piece))
	}
	if !swallowed {
		p.forwarded[d] += int64(len(piece))
	}
	p.mu.Unlock()
	if !swallowed && len(piece) > 0 {
		if _, err := to.Write(piece); err != nil {
			return false, false
		}
	}
	if last {
		w.end(c.reset)
	}
	return swallowed, !last
}

// close ends the connection in order.
func (w *wire) close() {
	w.once.Do(func() {
		close(w.broken)
		_ = w.near.Close()
		if w.far != nil {
			_ = w.far.Close()
		}
	})
}

// drainTime is how long a server may take to close a connection that has ended.
const drainTime = time.Second

// end ends the connection: by a reset for the client, and for the server if reset is set.
// Otherwise what the server sends is still read, or it would see a reset nevertheless, and
// lose what it has not read yet.
func (w *wire) end(reset bool) {
	w.once.Do(func() {
		w.draining = w.far != nil && !reset
		close(w.broken)
		_ = w.near.SetLinger(0)
		_ = w.near.Close()
		switch {
		case w.draining:
			_ = w.far.CloseWrite()
			_ = w.far.SetReadDeadline(time.Now().Add(drainTime))
		case w.far != nil:
			_ = w.far.SetLinger(0)
			_ = w.far.Close()
		}
	})
}
