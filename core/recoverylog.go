package sio

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A logState is what a namespace knows about its log.
type logState struct {
	undelivered atomic.Int64           // messages that the log has yet to deliver
	lastChange  atomic.Pointer[string] // the offset of the last message that changed rooms, or ended sockets
	lostUntil   atomic.Pointer[string] // until here, some message of that kind may not be in the log
	workSlots   chan struct{}          // has room for the replays that may work at the same time
	workedNanos atomic.Int64           // for how long they have, in nanoseconds, since they rested
	frames      sharedFrames
}

// newLogState returns the state of a log that ends at an offset. Earlier changes are not
// known.
func newLogState(end string) *logState {
	s := &logState{workSlots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	s.lastChange.Store(&end)
	return s
}

// maxReplayWork is how long replays work before they rest for the same time.
const maxReplayWork = 200 * time.Microsecond

// rest adds the time that a replay has worked. It returns when the next replay may work.
func (s *logState) rest(ctx context.Context, worked time.Duration) {
	d := s.workedNanos.Add(int64(worked))
	if d < int64(maxReplayWork) {
		return
	}
	s.workedNanos.Add(-d)
	select {
	case <-time.After(min(time.Duration(d), 10*maxReplayWork)):
	case <-ctx.Done():
	}
}

// noteLostChange notes that rooms or sockets change without the log. Sessions from
// before that cannot be recovered.
func (n *Namespace) noteLostChange() {
	at := n.index.Position()
	n.logState.lostUntil.Store(&at)
}

// callLog calls a method of the log for a message. A log in this server's memory cannot
// end the goroutine, so it is called on this one.
func (n *Namespace) callLog(f func() error) error {
	if _, ours := n.log.(*adapter.MemoryLog); ours {
		return rescue.Call(f)
	}
	return rescue.Apart(f)
}

// A loggedMessage is a message on its way through the log.
type loggedMessage struct {
	ns *Namespace
	m  *adapter.Message

	mu        sync.Mutex
	delivered bool
	returned  bool   // from Append
	afterLock func() // is to be done afterwards
}

// deliver is called by the log, with the message's offset. Later calls do nothing.
func (d *loggedMessage) deliver(offset string) {
	d.mu.Lock()
	delivered := d.delivered
	d.delivered = true
	d.mu.Unlock()
	if delivered {
		return
	}
	afterLock := d.ns.apply(d.m, offset)
	d.ns.logState.undelivered.Add(-1)
	if afterLock == nil {
		return
	}
	d.mu.Lock()
	late := d.returned
	if !late {
		d.afterLock = afterLock // not under the lock of the log
	}
	d.mu.Unlock()
	if late {
		afterLock()
	}
}

// appendReturned runs the function that had to wait until Append had released its lock.
func (d *loggedMessage) appendReturned() {
	d.mu.Lock()
	d.returned = true
	afterLock := d.afterLock
	d.mu.Unlock()
	if afterLock != nil {
		afterLock()
	}
}
