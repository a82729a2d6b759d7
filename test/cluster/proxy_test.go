package cluster_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A proxy is a network between servers and Redis, which can fail. It ends with the test.
type proxy struct {
	listener *net.TCPListener
	to       *net.TCPAddr
	running  sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	wires     map[*wire]struct{}
	passable  chan struct{} // closed unless there is a partition
	delayed   time.Duration
	forwarded int64 // bytes
}

// A wire is one connection through a proxy.
type wire struct {
	near, far *net.TCPConn
	broken    chan struct{} // closed when it is cut
	once      sync.Once
}

// startProxy starts a network that works, in front of an address.
func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server, err := net.ResolveTCPAddr("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: server, wires: make(map[*wire]struct{}), passable: make(chan struct{})}
	close(p.passable)
	p.running.Go(p.serve)
	t.Cleanup(p.end)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// cut breaks all connections. New ones are possible at once.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.wires {
		w.cut()
	}
}

// partition lets nothing through in either direction until heal is called. Connections
// stay, and new ones seem to succeed. What was sent meanwhile arrives afterwards.
func (p *proxy) partition() (heal func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	passable := make(chan struct{})
	p.passable = passable
	return sync.OnceFunc(func() { close(passable) })
}

// delay makes each piece of data wait, one after the other on each connection.
func (p *proxy) delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delayed = d
}

// bytes returns how much has gone through so far, in both directions.
func (p *proxy) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forwarded
}

func (p *proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cut()
	p.running.Wait()
}

func (p *proxy) serve() {
	for {
		near, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		p.running.Go(func() { p.connect(near) })
	}
}

// connect carries a connection until both ends have said their last word, or it is cut.
func (p *proxy) connect(near *net.TCPConn) {
	w := &wire{near: near, broken: make(chan struct{})}
	defer w.cut()
	far, err := net.DialTCP("tcp", nil, p.to)
	if err != nil {
		return // the other end sees its connection end
	}
	w.far = far
	p.mu.Lock()
	p.wires[w] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wires, w)
	}()
	if closed {
		return
	}
	var up sync.WaitGroup
	up.Go(func() { p.carry(w, w.far, w.near) })
	p.carry(w, w.near, w.far)
	up.Wait()
}

// carry carries one direction.
func (p *proxy) carry(w *wire, to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && (!p.pass(w, n) || !write(to, buf[:n])) {
			break
		}
		if err != nil {
			break
		}
	}
	_ = to.CloseWrite()
}

func write(to io.Writer, data []byte) bool {
	_, err := to.Write(data)
	return err == nil
}

// pass waits until a piece may go on. It reports whether the connection is still there.
func (p *proxy) pass(w *wire, n int) bool {
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
	case <-w.broken:
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forwarded += int64(n)
	return true
}

// cut ends the connection by a reset.
func (w *wire) cut() {
	w.once.Do(func() {
		close(w.broken)
		for _, c := range []*net.TCPConn{w.near, w.far} {
			if c != nil {
				_ = c.SetLinger(0)
				_ = c.Close()
			}
		}
	})
}

// echoServer answers each line with the same.
func echoServer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func wantEcho(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(conn, line); err != nil {
		t.Fatal(err)
	}
	wantLine(t, conn, line)
}

func wantLine(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("read %q, %v, want %q", got, err, line)
	}
}

func TestProxyFails(t *testing.T) {
	t.Parallel()
	p := startProxy(t, echoServer(t))
	conn := dial(t, p.addr())
	wantEcho(t, conn, "before")

	heal := p.partition()
	before := p.bytes()
	other := dial(t, p.addr())
	for _, c := range []net.Conn{conn, other} {
		if _, err := fmt.Fprintln(c, "during"); err != nil {
			t.Fatal(err)
		}
	}
	if p.bytes() != before {
		t.Error("something goes through a partition")
	}
	heal()
	wantLine(t, conn, "during")
	wantLine(t, other, "during")

	const slow = 20 * time.Millisecond
	p.delay(slow)
	start := time.Now()
	wantEcho(t, conn, "slowly")
	if took := time.Since(start); took < 2*slow {
		t.Errorf("both ways took %v", took)
	}
	p.delay(0)

	p.partition() // which is never healed
	if _, err := fmt.Fprintln(conn, "never"); err != nil {
		t.Fatal(err)
	}
	p.cut()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still there")
	}
}
