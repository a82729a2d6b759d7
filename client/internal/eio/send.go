package eio

import (
	"context"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A sendQueue has the frames of a session that are not sent yet. It is guarded by the
// Engine's mu. It belongs to the session and not to a transport, so an upgrade neither
// loses nor reorders frames.
type sendQueue struct {
	frames  []*frame.Frame
	spare   []*frame.Frame // the emptied list of the last write
	bytes   int            // memory of all frames, also of those that are being written
	sent    int            // bytes that were ever sent
	pong    bool           // one of the frames is a pong
	writing bool           // a goroutine writes
	blocked bool           // it waits for the peer
	change  chan struct{}  // closed when bytes falls; nil if nobody waits
}

// maxSpare is the longest list that an idle session keeps.
const maxSpare = 8

func (q *sendQueue) push(frames ...*frame.Frame) {
	if q.frames == nil {
		q.frames, q.spare = q.spare, nil
	}
	q.frames = append(q.frames, frames...)
	q.bytes += memory(frames)
}

func memory(frames []*frame.Frame) (n int) {
	for _, f := range frames {
		n += f.Memory()
	}
	return n
}

// take removes the first n frames.
func (q *sendQueue) take(n int) []*frame.Frame {
	if n == len(q.frames) {
		batch := q.frames
		q.frames, q.spare, q.pong = q.spare, nil, false
		return batch
	}
	batch := append([]*frame.Frame(nil), q.frames[:n]...)
	q.frames = append(q.frames[:0], q.frames[n:]...)
	return batch
}

// released notes that a batch has been sent, or is lost.
func (q *sendQueue) released(batch []*frame.Frame, size int) {
	q.bytes -= size
	q.sent += size
	clear(batch)
	if cap(batch) <= maxSpare && q.spare == nil {
		q.spare = batch[:0]
	}
	q.signal()
}

func (q *sendQueue) signal() {
	if q.change != nil {
		close(q.change)
		q.change = nil
	}
}

func (q *sendQueue) discard() {
	q.frames, q.spare, q.bytes = nil, nil, 0
	q.signal()
}

// Send queues the frames of one message, and does not wait. It reports false if the
// session is not open: then nothing is queued.
func (e *Engine) Send(frames ...*frame.Frame) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != stateOpen {
		return false
	}
	e.send.push(frames...)
	e.flushLocked()
	return true
}

// Writable reports whether a message can leave at once: the peer takes what it is sent,
// no POST is on its way, and the session does not change its transport.
func (e *Engine) Writable() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != stateOpen || e.upgrade.paused {
		return false
	}
	if e.ws != nil {
		return !e.send.blocked
	}
	return !e.send.writing
}

// Queued returns how many bytes of memory wait to be sent.
func (e *Engine) Queued() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.send.bytes
}

// Flush waits until all that was queued before has been sent.
func (e *Engine) Flush(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for all := e.send.sent + e.send.bytes; e.send.sent < all; {
		if e.state == stateClosed {
			return errClosed
		}
		if e.send.change == nil {
			e.send.change = make(chan struct{})
		}
		change := e.send.change
		e.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
		}
		e.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// flushLocked has a goroutine send what is queued, unless one does so already. All that
// is queued until it runs leaves in one write.
func (e *Engine) flushLocked() {
	if e.send.writing || len(e.send.frames) == 0 || e.upgrade.paused || e.state == stateOpening || e.state == stateClosed {
		return
	}
	e.send.writing = true
	if e.ws != nil {
		go rescue.Do(e.writeWebSocket, e.writeEnded) // ends when the queue is empty
	} else {
		go rescue.Do(e.post, e.writeEnded) // likewise
	}
}

// writeEnded is the completion of a goroutine that wrote.
func (e *Engine) writeEnded(err error) {
	if err == nil {
		return
	}
	e.mu.Lock()
	e.send.writing, e.send.blocked = false, false
	polling := e.ws == nil
	e.mu.Unlock()
	if polling {
		e.end(TransportError, err)
	} else {
		e.end(TransportClose, err)
	}
}

// nextBatch returns what to write next, nil if the goroutine that writes has to end.
func (e *Engine) nextBatch(limit func([]*frame.Frame) int) (batch []*frame.Frame, size int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.send.frames) > 0 && !e.upgrade.paused && e.state != stateClosed {
		batch = e.send.take(limit(e.send.frames))
		return batch, memory(batch)
	}
	e.send.writing = false
	switch {
	case e.state == stateClosing && len(e.send.frames) == 0:
		e.goodbyeSentLocked()
	case e.upgrade.paused:
		e.commitUpgradeLocked()
	}
	return nil, 0
}

// goodbyeSentLocked ends a session whose last packet has been sent. A WebSocket is read on:
// the server's close frame, or its end, ends the session, at the latest after closeTimeout.
// A connection that cannot be half-closed, as one in memory, only has the close frame.
func (e *Engine) goodbyeSentLocked() {
	if e.ws == nil {
		e.finishLocked()
		return
	}
	go e.ws.conn.CloseWrite() // ends at once
}

// wrote notes that a batch has been sent.
func (e *Engine) wrote(batch []*frame.Frame, size int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.send.blocked = false
	if e.state != stateClosed { // else nothing is counted any more
		e.send.released(batch, size)
	}
}
