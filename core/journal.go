package sio

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
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

// newLogState returns that of a log that has got to a place. What was before is unknown.
func newLogState(end string) *logState {
	s := &logState{workSlots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	s.lastChange.Store(&end)
	return s
}

// maxReplayWork is for how long replays work before they rest for as long.
const maxReplayWork = 200 * time.Microsecond

// rest notes that a replay has worked. It returns when the next one may.
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

// perform does what m says to this server's clients, and to those that may come back:
// if there is a log, when it has m, and in its order. An error means that the latter
// will not learn of it.
func (n *Namespace) perform(m *adapter.Message) error {
	if n.log == nil || m.Volatile && m.Kind == adapter.Broadcast {
		if afterLock := n.apply(m, ""); afterLock != nil {
			afterLock()
		}
		return nil
	}
	d := &loggedMessage{ns: n, m: m}
	n.logState.undelivered.Add(1)
	err := n.callLog(func() error { return n.log.Append(m, d.deliver) })
	if err != nil {
		n.logFailure("event not kept for recovery", err)
		d.deliver("")
	}
	d.appendReturned()
	if m.Kind == adapter.Broadcast {
		return nil
	}
	return err
}

// callLog calls a method of the log for an event that is on its way. A log in our
// memory does not end the goroutine.
func (n *Namespace) callLog(f func() error) error {
	if _, ours := n.log.(*adapter.MemoryLog); ours {
		return rescue.Call(f)
	}
	return rescue.Apart(f)
}

// A loggedMessage is a message that a log has, or is about to have.
type loggedMessage struct {
	ns *Namespace
	m  *adapter.Message

	mu        sync.Mutex
	delivered bool
	returned  bool   // from Append
	afterLock func() // is to be done afterwards
}

// deliver is what the log calls.
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

// appendReturned does what is to be done after Append has returned.
func (d *loggedMessage) appendReturned() {
	d.mu.Lock()
	d.returned = true
	afterLock := d.afterLock
	d.mu.Unlock()
	if afterLock != nil {
		afterLock()
	}
}

// apply does what m says. What it returns, if not nil, is to be called when no lock
// is held any more.
func (n *Namespace) apply(m *adapter.Message, offset string) (afterLock func()) {
	t := target(m.Target)
	if offset == "" && n.logState != nil && m.Kind != adapter.Broadcast {
		n.noteLostChange() // who comes back now may be one of those to whom it is done
		defer n.noteLostChange()
	}
	switch m.Kind {
	case adapter.Join:
		n.index.JoinEach(offset, t, m.Rooms, m.Pin)
		afterLock = n.deliverRoomEvents
	case adapter.Leave:
		n.index.LeaveEach(offset, t, m.Rooms, m.Pin)
		afterLock = n.deliverRoomEvents
	case adapter.Disconnect:
		var sockets []*Socket
		n.index.ChangeEach(offset, t, func(s *Socket) {
			if s.recovery != nil {
				s.recovery.disconnected.Store(true) // while its place is known: it may be gone in a moment
			}
			sockets = append(sockets, s)
		})
		afterLock = func() { disconnectEach(sockets, m.Close) }
	case adapter.Broadcast, adapter.ServerEvent, adapter.Fetch:
		fallthrough
	default:
		n.deliver(m, offset)
		return nil
	}
	if offset != "" {
		n.logState.lastChange.Store(&offset)
	}
	return afterLock
}

// noteLostChange notes that something is done to clients that the log has not kept.
func (n *Namespace) noteLostChange() {
	at := n.index.Position()
	n.logState.lostUntil.Store(&at)
}

func disconnectEach(sockets []*Socket, all bool) {
	for _, s := range sockets {
		if all {
			s.client.disconnectAll()
		} else {
			s.client.disconnectSocket(s)
		}
	}
}

// deliver sends a broadcast to this server's clients; an offset is that in the
// log.
func (n *Namespace) deliver(m *adapter.Message, offset string) {
	if n.index.PassEmpty(offset) {
		return // children of a parent may be many, and empty
	}
	fs, err := n.eventFrames(m, offset)
	if err != nil { // only a parser of the user's can fail
		n.logFailure("encoding a broadcast failed", err)
	}
	n.index.EachAt(offset, target(m.Target), func(s *Socket) {
		if err == nil {
			s.deliver(fs, m.Volatile)
		}
	})
}

// eventFrames encodes a broadcast for this server's clients. An offset becomes
// its last argument (SIO-CSR-2).
func (n *Namespace) eventFrames(m *adapter.Message, offset string) (fs []*frame.Frame, err error) {
	c := encoded{m.Data, m.Attachments}
	if offset != "" {
		c.data = append(make([]byte, 0, len(m.Data)+len(offset)+3), m.Data[:len(m.Data)-1]...)
		c.data = append(rawjson.AppendString(append(c.data, ','), offset), ']')
	}
	encode := func() error {
		fs, err = n.server.wire.frames(packet.Event, packet.Header{Namespace: n.name}, c)
		return err
	}
	if n.server.wire.parser == nil {
		err = encode()
	} else {
		err = rescue.Apart(encode)
	}
	if err == nil && m.NoCompress {
		for _, f := range fs {
			f.SetUncompressed()
		}
	}
	return fs, err
}
