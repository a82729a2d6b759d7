package websocket_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/websocket"
)

func TestConnSize(t *testing.T) {
	const ceiling = 200 // bytes, for every idle client
	if websocket.Size > ceiling {
		t.Errorf("a Conn has %d bytes, more than %d", websocket.Size, ceiling)
	}
}

// A signaller tells that it was flushed, and allocates nothing.
type signaller struct{ flushed chan struct{} }

func (signaller) Message(bool, []byte)      {}
func (signaller) Control(*frame.Frame)      {}
func (s signaller) Flush() bool             { s.flushed <- struct{}{}; return true }
func (s signaller) serve(c *websocket.Conn) { _ = c.Serve(s) }

func TestReadAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	one := masked(fin|text, strings.Repeat("a", 100))
	sixteen := bytes.Repeat(one, 16)
	for _, n := range networks() {
		if n.name == "tls" {
			continue // crypto/tls allocates
		}
		for _, p := range [][]byte{one, sixteen} {
			server, client := n.pair(t)
			c := websocket.New(server, limit, nil)
			s := signaller{make(chan struct{})}
			go s.serve(c)
			got := testing.AllocsPerRun(500, func() {
				_, _ = client.Write(p)
				<-s.flushed
			})
			if got != 0 {
				t.Errorf("%s: %v allocations for %d bytes", n.name, got, len(p))
			}
			_ = c.Close()
		}
	}
}

func TestWriteAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, n := range networks()[:2] {
		for _, count := range []int{1, 16} {
			server, client := n.pair(t)
			c := websocket.New(server, limit, nil)
			frames := makeFrames(count)
			got := make([]byte, len(wire(frames)))
			allocs := testing.AllocsPerRun(500, func() {
				if blocked, err := c.Write(frames); blocked || err != nil {
					t.Fatal(blocked, err)
				}
				if _, err := io.ReadFull(client, got); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%s: %v allocations for %d frames", n.name, allocs, count)
			}
		}
	}
}

func makeFrames(n int) []*frame.Frame {
	frames := make([]*frame.Frame, n)
	for i := range frames {
		frames[i] = textFrame(strings.Repeat("a", 100))
	}
	return frames
}

// What a header claims costs nothing before it comes.
func TestClaimsCostNothing(t *testing.T) {
	c := websocket.New(nil, 1<<30, nil)
	huge := []byte{fin | binry, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4}
	if err := c.Parse(new(recorder), huge); err != nil {
		t.Fatal(err)
	}
	if held := c.Held(); held > 0 {
		t.Errorf("%d bytes for a header", held)
	}
	sent := 0
	for range 100 {
		sent += 1000
		if err := c.Parse(new(recorder), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if held := c.Held(); held > 2*sent {
			t.Errorf("%d bytes for %d", held, sent)
		}
	}
}

// A message in very many fragments is not copied for each of them.
func TestManyFragments(t *testing.T) {
	parts := bytes.Repeat(masked(cont, "a"), 100_000)
	allocs := testing.AllocsPerRun(1, func() {
		c := websocket.New(nil, limit, nil)
		for _, p := range [][]byte{masked(binry, ""), bytes.Clone(parts)} {
			if err := c.Parse(new(recorder), p); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs > 50 {
		t.Errorf("%v allocations", allocs)
	}
}
