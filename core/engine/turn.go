package engine

import (
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// patience is how long the work on messages may keep a connection from being
// read before another goroutine takes over.
const patience = time.Millisecond

// seldom is how long a connection has been silent when it gets a new goroutine.
const seldom = time.Second

// A turn is the right to read a link's connection.
//
// Messages are worked on by the goroutine that reads them: handing each over
// to another one would cost more than most handlers do, and what they answer
// can leave in one write. But a handler may wait, for a database or even for
// its own client's answer, and the connection has to be read meanwhile. So when
// a turn takes too long another goroutine begins the next one and reads on,
// and the first one ends when its work is done.
//
// A goroutine's stack grows to what handlers need, and Go takes nothing back of
// a few KiB. So after a message that came first, or after a long silence, the
// connection is left to a new goroutine, which waits with a stack of 2 KiB;
// where one message follows the other, growing a new one each time would cost
// more than the handlers.
type turn struct {
	number  uint32 // from 1 on
	working bool
	last    time.Duration // when there was work; see deadline.Item.At
}

// ReadDone implements [websocket.Handler]: it works on the messages that came
// with one read, and writes what there is to write.
func (l *link) ReadDone() (goOn bool) {
	if !l.active {
		return true
	}
	s := l.session
	if s.worker() == nil {
		s.mu.Lock()
		s.flushRest()
		return true
	}
	number, first := l.beginWork()
	s.work(number)
	mine := l.endWork(number)
	if mine && first {
		go l.run() // ends with the connection, or with the next handing over
		return false
	}
	return mine
}

// beginWork returns the number of the turn, and whether its messages are the
// first ones for a long time.
func (l *link) beginWork() (number uint32, first bool) {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	l.turn.working = true
	s.out.corked = true
	last := l.turn.last
	turns := s.server.turns
	turns[s.shard%uint32(len(turns))].Set(&l.wait, l) //nolint:gosec // the number of processors fits
	l.turn.last = l.wait.At()
	return l.turn.number, last == 0 || l.turn.last-last > seldom
}

// endWork reports whether the turn still belongs to the caller.
func (l *link) endWork(number uint32) bool {
	s := l.session
	s.mu.Lock()
	mine := l.turn.number == number
	if mine {
		l.wait.Stop()
		l.turn.working = false
		s.out.corked = false
	}
	s.flushRest()
	return mine
}

// handOver has another goroutine read if the one whose turn it is has been
// working for too long.
func (l *link) handOver() {
	s := l.session
	s.mu.Lock()
	l.handOverLocked()
}

// handOverLocked is handOver with mu held, which it gives up.
func (l *link) handOverLocked() {
	s := l.session
	if !l.turn.working {
		s.mu.Unlock()
		return
	}
	l.wait.Stop()
	l.turn.number++
	l.turn.working = false
	s.out.corked = false
	go l.takeTurn() // ends with the connection, or with the next handing over
	s.flushRest()
}

// takeTurn works on what the last turn left, and reads.
func (l *link) takeTurn() { l.read(true) }

// read reads until the connection ends or another goroutine does; first it works, if
// it is to, on what there is. What comes after that is up to [link.ended].
func (l *link) read(work bool) {
	number := l.turnNumber()
	rescue.Do(func() error {
		if work && !l.ReadDone() {
			return websocket.ErrHandedOff
		}
		return l.conn.Serve(l)
	}, func(err error) { l.ended(number, err) })
}

func (l *link) turnNumber() uint32 {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.turn.number
}

// resume goes on for a goroutine that has ended in the turn of that number, unless
// another one reads already. It reports false if what the lost one did cannot be
// gone on with: it did not work on messages, where reads are complete.
func (l *link) resume(number uint32) bool {
	l.session.mu.Lock()
	mine, working := l.turn.number == number, l.turn.working
	l.session.mu.Unlock()
	switch {
	case !mine:
		return true
	case !working:
		return false
	}
	if l.endWork(number) {
		l.run()
	}
	return true
}

// noTurn is what work is done under that nobody waits for to read on.
const noTurn = 0

// Yield has the session read on, if the call of [Worker.Work] that was given turn
// still keeps it from that. It is for work that waits: for something that the
// client sends, for example.
func (s *Session) Yield(turn uint32) {
	if turn == noTurn {
		return
	}
	s.mu.Lock()
	if l := s.link; l != nil && l.turn.number == turn {
		l.handOverLocked()
		return
	}
	s.mu.Unlock()
}

// work calls the worker, if there is one. If that ends the goroutine, it sees to its
// messages itself, and [link.resume] to the connection.
func (s *Session) work(turn uint32) {
	s.worked(rescue.Call(func() error { return s.callWorker(turn) }))
}

func (s *Session) callWorker(turn uint32) error {
	if w := s.worker(); w != nil {
		w.Work(turn)
	}
	return nil
}

func (s *Session) worked(err error) {
	if rescue.Panicked(err) {
		s.fail(err)
	}
}

// flushRest writes what no flush worker has been told of. It is called with mu
// held, and gives it up.
func (s *Session) flushRest() {
	if len(s.out.frames) == 0 || s.out.dirty || s.out.corked {
		s.mu.Unlock()
		return
	}
	s.flushNow()
}
