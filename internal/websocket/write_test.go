package websocket_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

const head = "HTTP/1.1 101 Switching Protocols\r\n\r\n"

func textFrame(payload string) *frame.Frame {
	return frame.Text(append(frame.Buffer(len(payload)), payload...))
}

// wire returns what a peer has to receive.
func wire(frames []*frame.Frame) []byte {
	var p []byte
	for _, f := range frames {
		p = append(p, f.Wire()...)
	}
	return p
}

// send writes and, if it has to, drains.
func send(c *websocket.Conn, frames ...*frame.Frame) error {
	blocked, err := c.Write(frames)
	if blocked {
		err = c.Drain()
	}
	return err
}

// Whatever the sizes of the frames and of the writes, the peer receives the head
// and the frames, all of them and in order.
func TestWriteOrder(t *testing.T) {
	const big = websocket.BufferSize
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 100, 125, 126, 1000, big - 4, big - 3, big, big + 1, 65535, 65536, 200_000}
	var frames []*frame.Frame
	for range 300 {
		size := random.IntN(200)
		if random.IntN(8) == 0 {
			size = sizes[random.IntN(len(sizes))]
		}
		frames = append(frames, textFrame(strings.Repeat(string(rune('a'+len(frames)%26)), size)))
	}
	want := append([]byte(head), wire(frames)...)
	for _, n := range networks() {
		t.Run(n.name, func(t *testing.T) {
			server, client := n.pair(t)
			c := websocket.New(server, limit, nil)
			c.Prepend([]byte(head))
			written := make(chan error, 1)
			go func() {
				var err error
				for rest := frames; len(rest) > 0 && err == nil; {
					k := min(1+random.IntN(20), len(rest))
					err = send(c, rest[:k]...)
					rest = rest[k:]
				}
				written <- err
			}()
			got := make([]byte, len(want))
			_, err := io.ReadFull(client, got)
			if werr := <-written; err != nil || werr != nil {
				t.Fatal(err, werr)
			}
			if !bytes.Equal(got, want) {
				t.Error("the peer received something else")
			}
		})
	}
}

// The answer to the handshake and the first frame leave in one piece.
func TestPrependSharesSystemCall(t *testing.T) {
	server, client := tcpPair(t)
	c := websocket.New(server, limit, nil)
	c.Prepend([]byte(head))
	f := textFrame("0{}")
	if err := send(c, f); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1000)
	n, err := client.Read(got)
	if want := head + string(f.Wire()); err != nil || string(got[:n]) != want {
		t.Errorf("first read: %q, %v, want %q", got[:n], err, want)
	}
}

// jam writes until the peer, who does not read, takes no more.
func jam(t *testing.T, c *websocket.Conn) (sent []*frame.Frame) {
	t.Helper()
	for i := range 1 << 16 {
		batch := []*frame.Frame{
			textFrame(strings.Repeat(string(rune('a'+i%26)), i%7000)),
			frame.Pong([]byte{byte(i)}),
		}
		blocked, err := c.Write(batch)
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, batch...)
		clear(batch) // the slice is the caller's
		if blocked {
			return sent
		}
	}
	t.Fatal("a peer who does not read takes everything")
	return nil
}

func slowPair(t *testing.T, n network) (*websocket.Conn, net.Conn) {
	t.Helper()
	server, client := n.pair(t)
	if s, ok := client.(interface{ SetReadBuffer(bytes int) error }); ok {
		if err := s.SetReadBuffer(2048); err != nil {
			t.Fatal(err)
		}
	}
	if s, ok := server.(interface{ SetWriteBuffer(bytes int) error }); ok {
		if err := s.SetWriteBuffer(2048); err != nil {
			t.Fatal(err)
		}
	}
	return websocket.New(server, limit, nil), client
}

// A peer who reads late receives everything in order, also what was written,
// against the rules, before it was drained.
func TestSlowReader(t *testing.T) {
	for _, n := range networks() {
		t.Run(n.name, func(t *testing.T) {
			c, client := slowPair(t, n)
			var sent []*frame.Frame
			for range 3 {
				round := jam(t, c)
				late := textFrame("late")
				if blocked, err := c.Write([]*frame.Frame{late}); !blocked || err != nil {
					t.Fatalf("a Write before Drain: blocked %v, %v", blocked, err)
				}
				round = append(round, late)
				drained := make(chan error, 1)
				go func() { drained <- c.Drain() }()
				got := make([]byte, len(wire(round)))
				if _, err := io.ReadFull(client, got); err != nil {
					t.Fatal(err)
				}
				if err := <-drained; err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, wire(round)) {
					t.Fatal("the peer received something else")
				}
				sent = append(sent, round...)
			}
			if err := c.Drain(); err != nil {
				t.Errorf("Drain with nothing to do: %v", err)
			}
			if len(sent) < 9 {
				t.Errorf("only %d frames", len(sent))
			}
		})
	}
}

func TestWriteNothing(t *testing.T) {
	for _, n := range networks() {
		server, _ := n.pair(t)
		c := websocket.New(server, limit, nil)
		if blocked, err := c.Write(nil); blocked || err != nil {
			t.Errorf("%s: blocked %v, %v", n.name, blocked, err)
		}
	}
}

func TestWriteAfterClose(t *testing.T) {
	for _, n := range networks() {
		c, _ := slowPair(t, n)
		jam(t, c)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := c.Drain(); err != net.ErrClosed {
			t.Errorf("%s: Drain: %v", n.name, err)
		}
		if blocked, err := c.Write([]*frame.Frame{textFrame("a")}); blocked || err != net.ErrClosed {
			t.Errorf("%s: Write: blocked %v, %v", n.name, blocked, err)
		}
	}
}

func TestCloseEndsDrain(t *testing.T) {
	for _, n := range networks() {
		c, _ := slowPair(t, n)
		jam(t, c)
		drained := make(chan error)
		go func() { drained <- c.Drain() }()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-drained; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", n.name, err)
		}
	}
}

func TestWriteToNobody(t *testing.T) {
	for _, n := range networks() {
		server, client := n.pair(t)
		c := websocket.New(server, limit, nil)
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		for i := 0; i < 1<<16 && err == nil; i++ { // the first ones may go to the kernel
			err = send(c, textFrame(strings.Repeat("a", 1000)))
		}
		if err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", n.name, err)
		}
	}
}
