package websocket_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/parking"
	"github.com/sioplug/sioplug/internal/websocket"
)

// A parker is the handler of a connection that is parked after every read.
type parker struct {
	conn     *websocket.Conn
	messages chan string
	ended    chan error // the results of Serve, except ErrHandedOff
	failed   chan struct{}
}

func (p *parker) Message(_ bool, m []byte) { p.messages <- string(m) }
func (p *parker) Control(*frame.Frame)     {}

func (p *parker) ReadDone() (goOn bool) {
	if !p.conn.Park(p) {
		p.failed <- struct{}{}
		return true
	}
	return false
}

// Resume implements [parking.Waiter].
func (p *parker) Resume() {
	go func() { // ends with Serve
		if err := p.conn.Serve(p); !errors.Is(err, websocket.ErrHandedOff) {
			p.ended <- err
		}
	}()
}

func newParker(t *testing.T, lot *parking.Lot) (p *parker, peer net.Conn) {
	t.Helper()
	nc, peer := tcpPair(t)
	p = &parker{messages: make(chan string, 10), ended: make(chan error, 10), failed: make(chan struct{}, 10)}
	p.conn = websocket.New(nc, limit, nil)
	p.conn.ParkIn(lot)
	t.Cleanup(func() { _ = p.conn.Close() })
	p.Resume()
	return p, peer
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("there is no " + what)
		panic("not reached")
	}
}

func TestParkedConnIsReadAgain(t *testing.T) {
	t.Parallel()
	p, peer := newParker(t, new(parking.Lot))
	for _, m := range []string{"a", "b"} {
		if _, err := peer.Write(masked(fin|text, m)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "message", p.messages); got != m {
			t.Errorf("got %q, want %q", got, m)
		}
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "end", p.ended); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
}

func TestParkedConnIsClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(p *parker)
		want error
	}{
		"Close":       {func(p *parker) { _ = p.conn.Close() }, net.ErrClosed},
		"CloseWithin": {func(p *parker) { p.conn.CloseWithin(time.Nanosecond) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, peer := newParker(t, new(parking.Lot))
			if _, err := peer.Write(masked(fin|text, "a")); err != nil {
				t.Fatal(err)
			}
			receive(t, "message", p.messages)
			c.end(p)
			if err := receive(t, "end", p.ended); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// A connection that has ended, or has no lot, is not parked: its goroutine goes on.
func TestConnThatCannotBeParked(t *testing.T) {
	t.Parallel()
	p, peer := newParker(t, nil)
	if _, err := peer.Write(masked(fin|text, "a")); err != nil {
		t.Fatal(err)
	}
	receive(t, "failure", p.failed)
	q, peer := newParker(t, new(parking.Lot))
	if _, err := peer.Write([]byte{0xF8, 0x80, 1, 2, 3, 4}); err != nil { // against the protocol
		t.Fatal(err)
	}
	receive(t, "failure", q.failed)
	_ = receive(t, "end", q.ended)
}
