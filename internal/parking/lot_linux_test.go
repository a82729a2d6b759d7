package parking_test

import (
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/parking"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A guest is a connection that is parked, and its other end.
type guest struct {
	conn, peer *net.TCPConn
	raw        syscall.RawConn
	place      *parking.Place
	resumed    chan struct{}
}

func (g *guest) Resume() { g.resumed <- struct{}{} }

func newGuest(tb testing.TB, lot *parking.Lot) *guest {
	tb.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	g := &guest{place: lot.NewPlace(), resumed: make(chan struct{}, 10)}
	if g.peer, err = net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.Addr().(*net.TCPAddr).Port}); err != nil { //nolint:errcheck // it is one
		tb.Fatal(err)
	}
	if g.conn, err = l.AcceptTCP(); err != nil {
		tb.Fatal(err)
	}
	if g.raw, err = g.conn.SyscallConn(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = g.conn.Close()
		_ = g.peer.Close()
	})
	return g
}

func (g *guest) park(tb testing.TB) {
	tb.Helper()
	if !g.place.Park(g.raw, g) {
		tb.Fatal("cannot be parked")
	}
}

func (g *guest) send(t *testing.T, s string) {
	t.Helper()
	if _, err := io.WriteString(g.peer, s); err != nil {
		t.Fatal(err)
	}
}

func (g *guest) wantResumed(t *testing.T) {
	t.Helper()
	select {
	case <-g.resumed:
	case <-time.After(10 * time.Second):
		t.Fatal("not resumed")
	}
}

func (g *guest) wantParked(t *testing.T) {
	t.Helper()
	select {
	case <-g.resumed:
		t.Fatal("resumed")
	default:
	}
}

func (g *guest) receive(t *testing.T, want string) {
	t.Helper()
	p := make([]byte, len(want))
	if _, err := io.ReadFull(g.conn, p); err != nil || string(p) != want {
		t.Fatalf("%q, %v", p, err)
	}
}

func TestInputResumes(t *testing.T) {
	t.Parallel()
	l := new(parking.Lot)
	g := newGuest(t, l)
	for range 3 {
		g.park(t)
		g.send(t, "hello")
		g.wantResumed(t)
		g.send(t, "more") // it is not parked any more
		g.receive(t, "hellomore")
		g.wantParked(t)
	}
	g.send(t, "before")
	g.park(t) // there is input already
	g.wantResumed(t)
}

func TestTheEndOfInputResumes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*net.TCPConn) error{
		"closed":      (*net.TCPConn).Close,
		"half closed": (*net.TCPConn).CloseWrite,
		"reset": func(c *net.TCPConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := new(parking.Lot)
			g := newGuest(t, l)
			g.park(t)
			if err := end(g.peer); err != nil {
				t.Fatal(err)
			}
			g.wantResumed(t)
		})
	}
}

func TestUnpark(t *testing.T) {
	t.Parallel()
	l := new(parking.Lot)
	g, other := newGuest(t, l), newGuest(t, l)
	if g.place.Unpark() != nil {
		t.Error("was not parked")
	}
	g.park(t)
	if g.place.Unpark() != parking.Waiter(g) || g.place.Unpark() != nil {
		t.Error("Unpark returns the waiter once")
	}
	// The event for g comes, but its slot is the other's now.
	other.park(t)
	g.send(t, "late")
	other.send(t, "x")
	other.wantResumed(t)
	g.wantParked(t)
	other.wantParked(t)
}

// The descriptor of a closed connection is soon another connection's.
func TestTheDescriptorIsUsedAgain(t *testing.T) {
	t.Parallel()
	l := new(parking.Lot)
	first := newGuest(t, l)
	first.park(t)
	if err := first.conn.Close(); err != nil {
		t.Fatal(err)
	}
	second := newGuest(t, l)
	second.park(t)
	second.send(t, "x")
	second.wantResumed(t)
	first.wantParked(t)
	if first.place.Unpark() == nil {
		t.Error("a closed connection has to be unparked by its owner")
	}
}

func TestAClosedConnectionCannotBeParked(t *testing.T) {
	t.Parallel()
	l := new(parking.Lot)
	g := newGuest(t, l)
	if err := g.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if g.place.Park(g.raw, g) || g.place.Unpark() != nil {
		t.Error("parked")
	}
	g.wantParked(t)
}

// While nothing is parked there is no goroutine. goleak would find it.
func TestNoGoroutineIsLeft(t *testing.T) {
	l := new(parking.Lot)
	g, other := newGuest(t, l), newGuest(t, l)
	before := goleak.IgnoreCurrent()
	for range 100 {
		g.park(t)
		if g.place.Unpark() == nil {
			t.Fatal("was parked")
		}
		other.park(t)
		other.send(t, "x")
		other.wantResumed(t)
		other.receive(t, "x")
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// A counter counts how often it is resumed.
type counter struct{ n atomic.Int64 }

func (c *counter) Resume() { c.n.Add(1) }

// Every connection that was parked is resumed once or unparked once, whatever happens at the
// same time.
func TestResumedOrUnparkedOnce(t *testing.T) {
	t.Parallel()
	l := new(parking.Lot)
	var all sync.WaitGroup
	for seed := range uint64(8) {
		g := newGuest(t, l)
		all.Go(func() { parkOften(t, g, rand.New(rand.NewPCG(seed, 0))) })
	}
	all.Wait()
}

func parkOften(t *testing.T, g *guest, random *rand.Rand) {
	for range 100 {
		c := new(counter)
		if !g.place.Park(g.raw, c) {
			t.Error("cannot be parked")
			return
		}
		var sent sync.WaitGroup
		sent.Go(func() { _, _ = g.peer.Write([]byte{1}) })
		unparked := false
		if random.IntN(2) == 0 {
			unparked = g.place.Unpark() != nil
		}
		sent.Wait()
		for deadline := time.Now().Add(10 * time.Second); !unparked && c.n.Load() == 0; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Error("neither resumed nor unparked")
				return
			}
		}
		if n := c.n.Load(); unparked == (n == 1) || n > 1 {
			t.Errorf("unparked: %v, resumed %d times", unparked, n)
			return
		}
		if _, err := g.conn.Read(make([]byte, 1)); err != nil { // nobody reads while it is parked
			t.Error(err)
			return
		}
	}
}

// BenchmarkParkAndResume is what a message costs more that finds its connection parked.
func BenchmarkParkAndResume(b *testing.B) {
	l := new(parking.Lot)
	g := newGuest(b, l)
	p := []byte{1}
	b.ReportAllocs()
	for b.Loop() {
		g.park(b)
		if _, err := g.peer.Write(p); err != nil {
			b.Fatal(err)
		}
		<-g.resumed
		if _, err := g.conn.Read(p); err != nil {
			b.Fatal(err)
		}
	}
}
