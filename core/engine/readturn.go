package engine

import (
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// maxTurn is how long the work on messages may keep a connection from being
// read before another goroutine takes over.
const maxTurn = time.Millisecond

// idleAfter is how long a connection has been silent when it gets a new goroutine.
const idleAfter = time.Second

// A readTurn is the right to read a link's connection.
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
type readTurn struct {
	number   uint32 // from 1 on
	working  bool
	lastWork time.Duration // when there was work; see deadline.Item.At
}

// ReadDone implements [websocket.Handler]: it works on the messages that came
// with one read, and writes what there is to write.
func (t *wsTransport) ReadDone() (goOn bool) {
	if !t.active {
		return true
	}
	s := t.session
	if s.worker() == nil {
		s.mu.Lock()
		s.flushHeldAndUnlock()
		return true
	}
	number, first := t.beginWork()
	s.runWorker(number)
	mine := t.endWork(number)
	if mine && first {
		go t.run() // ends with the connection, or with the next handing over
		return false
	}
	return mine
}

// beginWork returns the number of the turn, and whether its messages are the
// first ones for a long time.
func (t *wsTransport) beginWork() (number uint32, first bool) {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	t.turn.working = true
	s.queue.held = true
	last := t.turn.lastWork
	turns := s.server.turnTimers
	turns[s.shard%uint32(len(turns))].Set(&t.timer, t) //nolint:gosec // the number of processors fits
	t.turn.lastWork = t.timer.At()
	return t.turn.number, last == 0 || t.turn.lastWork-last > idleAfter
}

// endWork reports whether the turn still belongs to the caller.
func (t *wsTransport) endWork(number uint32) bool {
	s := t.session
	s.mu.Lock()
	mine := t.turn.number == number
	if mine {
		t.timer.Stop()
		t.turn.working = false
		s.queue.held = false
	}
	s.flushHeldAndUnlock()
	return mine
}

// turnTimedOut has another goroutine read if the one whose turn it is has been
// working for too long.
func (t *wsTransport) turnTimedOut() {
	s := t.session
	s.mu.Lock()
	t.handOffAndUnlock()
}

// handOffAndUnlock is handOver with mu held, which it gives up.
func (t *wsTransport) handOffAndUnlock() {
	s := t.session
	if !t.turn.working {
		s.mu.Unlock()
		return
	}
	t.timer.Stop()
	t.turn.number++
	t.turn.working = false
	s.queue.held = false
	go t.runNextTurn() // ends with the connection, or with the next handing over
	s.flushHeldAndUnlock()
}

// runNextTurn works on what the last turn left, and reads.
func (t *wsTransport) runNextTurn() { t.read(true) }

// read reads until the connection ends or another goroutine does; first it works, if
// it is to, on what there is. What comes after that is up to [wsTransport.readEnded].
func (t *wsTransport) read(work bool) {
	number := t.currentTurn()
	rescue.Do(func() error {
		if work && !t.ReadDone() {
			return websocket.ErrHandedOff
		}
		return t.conn.Serve(t)
	}, func(err error) { t.readEnded(number, err) })
}

func (t *wsTransport) currentTurn() uint32 {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	return t.turn.number
}

// resumeAfterExit goes on for a goroutine that has ended in the turn of that number, unless
// another one reads already. It reports false if what the lost one did cannot be
// gone on with: it did not work on messages, where reads are complete.
func (t *wsTransport) resumeAfterExit(number uint32) bool {
	t.session.mu.Lock()
	mine, working := t.turn.number == number, t.turn.working
	t.session.mu.Unlock()
	switch {
	case !mine:
		return true
	case !working:
		return false
	}
	if t.endWork(number) {
		t.run()
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
	if t := s.ws; t != nil && t.turn.number == turn {
		t.handOffAndUnlock()
		return
	}
	s.mu.Unlock()
}

// runWorker calls the worker, if there is one. If that ends the goroutine, it sees to its
// messages itself, and [wsTransport.resumeAfterExit] to the connection.
func (s *Session) runWorker(turn uint32) {
	s.workerReturned(rescue.Call(func() error { return s.callWorker(turn) }))
}

func (s *Session) callWorker(turn uint32) error {
	if w := s.worker(); w != nil {
		w.Work(turn)
	}
	return nil
}

func (s *Session) workerReturned(err error) {
	if rescue.Panicked(err) {
		s.endAfterPanic(err)
	}
}

// flushHeldAndUnlock writes what no flush worker has been told of. It is called with mu
// held, and gives it up.
func (s *Session) flushHeldAndUnlock() {
	if len(s.queue.frames) == 0 || s.queue.scheduled || s.queue.held {
		s.mu.Unlock()
		return
	}
	s.flushAndUnlock()
}
