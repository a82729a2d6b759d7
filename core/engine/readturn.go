package engine

import (
	"runtime"
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/stack"
	"github.com/sioplug/sioplug/internal/websocket"
)

// maxTurn is how long handlers may keep a WebSocket from being read, before another
// goroutine reads it.
const maxTurn = time.Millisecond

// maxQuickTurn is maxTurn for handlers that have always been quick, if no other WebSocket of
// the same shard gets a message meanwhile whose handlers have: see beginWork. On a server with little to do, a
// timer that is due soon costs more than all the rest of a short message.
const maxQuickTurn = 100 * time.Millisecond

// idleAfter is how long a WebSocket has been silent when it gets a new goroutine.
const idleAfter = time.Second

// A readTurn is the right to read a WebSocket. One goroutine has it at a time.
//
// The goroutine that reads messages also calls the handlers for them. Handing each
// message to another goroutine would cost more than most handlers do, and the answers
// could not leave in one write. But a handler may wait, for a database or even for an
// answer of its own client, and meanwhile the WebSocket has to be read. So when the
// handlers take longer than maxTurn, or maxQuickTurn if that was not expected, another
// goroutine begins the next turn and reads.
// The first goroutine ends when its handlers have returned.
//
// The stack of a goroutine grows to what handlers need, and Go does not shrink small
// stacks. So after the first message, and after one that follows a long silence, a new
// goroutine with a stack of 2 KiB waits for the next message. While messages follow
// each other, the same goroutine reads on: to grow a new stack for each of them would
// cost more than the handlers.
type readTurn struct {
	number   uint32        // from 1 on; 0 is noTurn
	working  bool          // handlers are running
	lastWork time.Duration // a nanosecond after they began last, since the server's epoch; 0 before, and after a hand-off
}

// noTurn is the number of work that does not keep a WebSocket from being read.
const noTurn = 0

// ReadDone implements [websocket.Handler]. It calls the worker for the messages of
// one read, and then writes the answers.
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
	number, wasIdle := t.beginWork(s.isQuick())
	s.runWorker(number)
	mine := t.endWork(number)
	if mine && wasIdle {
		if !t.conn.Park(t) {
			t.Resume()
		}
		return false
	}
	return mine
}

// Resume implements [parking.Waiter].
func (t *wsTransport) Resume() {
	go t.run() // ends with the connection, or with the next hand-off
}

// beginWork returns the number of the turn, and whether the WebSocket was idle before. It
// also ends the turn of another WebSocket whose handlers should have been quick.
func (t *wsTransport) beginWork(quick bool) (number uint32, wasIdle bool) {
	s := t.session
	s.mu.Lock()
	t.turn.working = true
	s.queue.held = true
	last := t.turn.lastWork
	var late *wsTransport
	if quick {
		late, _ = s.server.quickTurnTimers.of(s).SetAndTake(&t.timer, t, maxTurn)
	} else {
		s.server.turnTimers.of(s).Set(&t.timer, t)
	}
	now := t.timer.SetAt()
	t.turn.lastWork = now + 1
	number = t.turn.number
	s.mu.Unlock()
	if late != nil {
		late.turnTimedOut()
	}
	return number, last == 0 || now-last > idleAfter
}

// endWork reports whether the turn still belongs to the caller, who then reads on.
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

// turnTimedOut begins the next turn if the handlers of this one still run.
func (t *wsTransport) turnTimedOut() {
	t.session.mu.Lock()
	t.handOffAndUnlock()
}

// handOffAndUnlock begins the next turn on a new goroutine. The caller holds the
// session's mu.
func (t *wsTransport) handOffAndUnlock() {
	s := t.session
	if !t.turn.working {
		s.mu.Unlock()
		return
	}
	t.timer.Stop()
	t.turn.number++
	t.turn.working = false
	t.turn.lastWork = 0 // when the next turn has nothing to do, it waits as an idle one
	s.queue.held = false
	go t.runNextTurn() // ends with the connection, or with the next hand-off
	s.flushHeldAndUnlock()
}

// run reads until the connection ends or another goroutine reads.
func (t *wsTransport) run() {
	in := t.conn.AwaitInput()
	t.read(func() error { return t.conn.ServeFrom(in, t) })
}

// runNextTurn first handles the messages that the last turn did not get to.
func (t *wsTransport) runNextTurn() {
	stack.Grow()
	t.read(func() error {
		if !t.ReadDone() {
			return websocket.ErrHandedOff
		}
		return t.conn.Serve(t)
	})
}

func (t *wsTransport) read(serve func() error) {
	number := t.currentTurn()
	rescue.Do(serve, func(err error) { t.readEnded(number, err) })
}

func (t *wsTransport) currentTurn() uint32 {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	return t.turn.number
}

// resumeAfterExit reads on in place of a goroutine that a handler has ended in the
// turn of that number, unless another one reads already. It reports false if the
// goroutine was not running handlers: then it may have ended in the middle of a read.
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

// Yield lets another goroutine read the session, if the call of [Worker.Work] with
// that turn still keeps it from being read. Call it before waiting, for example for
// an answer of the client. It does not block.
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

// isQuick calls [Worker.Quick].
func (s *Session) isQuick() (quick bool) {
	s.workerReturned(rescue.Call(func() error {
		quick = s.worker().Quick()
		return nil
	}))
	return quick
}

// turnTimers are lists of turns, one for each processor, because all messages use them.
type turnTimers []*deadline.List[*wsTransport]

func newTurnTimers(epoch time.Time, after time.Duration) turnTimers {
	timers := make(turnTimers, runtime.GOMAXPROCS(0))
	for i := range timers {
		timers[i] = deadline.NewList(epoch, after, (*wsTransport).turnTimedOut)
		timers[i].KeepTimer()
	}
	return timers
}

func (timers turnTimers) of(s *Session) *deadline.List[*wsTransport] {
	return timers[s.shard%uint32(len(timers))] //nolint:gosec // the number of processors fits
}

// runWorker calls [Worker.Work], if the handler has it. If Work ends the goroutine,
// the worker has to take care of its messages, and [wsTransport.resumeAfterExit] of
// the connection.
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
