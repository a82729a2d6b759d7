package rooms

import "sync"

// pieceSize is how many steps are made while a lock is held: some 0.1 ms.
const pieceSize = 512

// A piece is a part of something that takes many steps, done while a lock is held.
// Between two pieces, others that wait for the lock get it.
type piece struct {
	lock sync.Locker
	left int // steps
}

// begin takes the lock.
func lockPiece(l sync.Locker) piece {
	l.Lock()
	return piece{l, pieceSize}
}

// step is called once for each step. It may give the lock up and take it again.
func (p *piece) step() {
	if p.left--; p.left > 0 {
		return
	}
	p.left = pieceSize
	p.lock.Unlock()
	p.lock.Lock()
}

// end gives the lock up.
func (p *piece) unlock() { p.lock.Unlock() }
