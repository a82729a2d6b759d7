package rooms

import "sync"

// pieceSize is how many steps are made before the lock is released: some 0.1 ms.
const pieceSize = 512

// A piece is a part of a long operation, done while a lock is held. Between two pieces,
// other goroutines that wait for the lock get it.
type piece struct {
	lock sync.Locker
	left int // steps
}

// lockPiece takes the lock for the first piece.
func lockPiece(l sync.Locker) piece {
	l.Lock()
	return piece{l, pieceSize}
}

// step is called once for each step. It may release the lock and take it again.
func (p *piece) step() {
	if p.left--; p.left > 0 {
		return
	}
	p.left = pieceSize
	p.lock.Unlock()
	p.lock.Lock()
}

// unlock releases the lock after the last piece.
func (p *piece) unlock() { p.lock.Unlock() }
