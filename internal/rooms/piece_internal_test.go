package rooms

import (
	"sync"
	"testing"
)

// A counter is a lock that counts how often it was given up.
type counter struct {
	sync.Mutex

	given int
}

func (c *counter) Unlock() {
	c.given++
	c.Mutex.Unlock()
}

func TestLocksAreGivenUpBetweenPieces(t *testing.T) {
	t.Parallel()
	for steps, want := range map[int]int{0: 1, 1: 1, pieceSize - 1: 1, pieceSize: 2, 10 * pieceSize: 11} {
		var c counter
		p := lockPiece(&c)
		for range steps {
			p.step()
		}
		if c.TryLock() {
			t.Error("the lock is not held within a piece")
		}
		p.unlock()
		if c.given != want {
			t.Errorf("%d steps: the lock was given up %d times, want %d", steps, c.given, want)
		}
	}
}
