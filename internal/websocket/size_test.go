package websocket_test

import (
	"bytes"
	"testing"

	"github.com/sioplug/sioplug/internal/websocket"
)

func TestConnSize(t *testing.T) {
	const ceiling = 208 // bytes, for every idle client
	if websocket.Size > ceiling {
		t.Errorf("a Conn has %d bytes, more than %d", websocket.Size, ceiling)
	}
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
