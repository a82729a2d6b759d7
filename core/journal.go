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

// A journal is what a namespace knows about its log.
type journal struct {
	pending atomic.Int64           // messages that the log has yet to deliver
	changed atomic.Pointer[string] // the offset of the last message that changed rooms, or ended sockets
	unkept  atomic.Pointer[string] // until here, some message of that kind may not be in the log
	working chan struct{}          // has room for the replays that may work at the same time
	worked  atomic.Int64           // for how long they have, in nanoseconds, since they rested
	frames  sharedFrames
}

// newJournal returns that of a log that has got to a place. What was before is unknown.
func newJournal(end string) *journal {
	j := &journal{working: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	j.changed.Store(&end)
	return j
}

// mostWork is for how long replays work before they rest for as long.
const mostWork = 200 * time.Microsecond

// rest notes that a replay has worked. It returns when the next one may.
func (j *journal) rest(ctx context.Context, worked time.Duration) {
	d := j.worked.Add(int64(worked))
	if d < int64(mostWork) {
		return
	}
	j.worked.Add(-d)
	select {
	case <-time.After(min(time.Duration(d), 10*mostWork)):
	case <-ctx.Done():
	}
}

// perform does what m says to this server's clients, and to those that may come back:
// if there is a log, when it has m, and in its order. An error means that the latter
// will not learn of it.
func (n *Namespace) perform(m *adapter.Message) error {
	if n.log == nil || m.Volatile && m.Kind == adapter.Broadcast {
		if then := n.apply(m, ""); then != nil {
			then()
		}
		return nil
	}
	d := &delivery{ns: n, m: m}
	n.journal.pending.Add(1)
	err := n.callLog(func() error { return n.log.Append(m, d.deliver) })
	if err != nil {
		n.logFailure("event not kept for recovery", err)
		d.deliver("")
	}
	d.finish()
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

// A delivery is a message that a log has, or is about to have.
type delivery struct {
	ns *Namespace
	m  *adapter.Message

	mu        sync.Mutex
	delivered bool
	returned  bool   // from Append
	then      func() // is to be done afterwards
}

// deliver is what the log calls.
func (d *delivery) deliver(offset string) {
	d.mu.Lock()
	again := d.delivered
	d.delivered = true
	d.mu.Unlock()
	if again {
		return
	}
	then := d.ns.apply(d.m, offset)
	d.ns.journal.pending.Add(-1)
	if then == nil {
		return
	}
	d.mu.Lock()
	late := d.returned
	if !late {
		d.then = then // not under the lock of the log
	}
	d.mu.Unlock()
	if late {
		then()
	}
}

// finish does what is to be done after Append has returned.
func (d *delivery) finish() {
	d.mu.Lock()
	d.returned = true
	then := d.then
	d.mu.Unlock()
	if then != nil {
		then()
	}
}

// apply does what m says. What it returns, if not nil, is to be called when no lock
// is held any more.
func (n *Namespace) apply(m *adapter.Message, offset string) (then func()) {
	t := target(m.Target)
	if offset == "" && n.journal != nil && m.Kind != adapter.Broadcast {
		n.unkept() // who comes back now may be one of those to whom it is done
		defer n.unkept()
	}
	switch m.Kind {
	case adapter.Join:
		n.index.JoinEach(offset, t, m.Rooms, m.Pin)
		then = n.tell
	case adapter.Leave:
		n.index.LeaveEach(offset, t, m.Rooms, m.Pin)
		then = n.tell
	case adapter.Disconnect:
		var sockets []*Socket
		n.index.ChangeEach(offset, t, func(s *Socket) {
			if s.recovery != nil {
				s.recovery.kicked.Store(true) // while its place is known: it may be gone in a moment
			}
			sockets = append(sockets, s)
		})
		then = func() { kickEach(sockets, m.Close) }
	case adapter.Broadcast, adapter.ServerEvent, adapter.Fetch:
		fallthrough
	default:
		n.deliver(m, offset)
		return nil
	}
	if offset != "" {
		n.journal.changed.Store(&offset)
	}
	return then
}

// unkept notes that something is done to clients that the log has not kept.
func (n *Namespace) unkept() {
	at := n.index.Position()
	n.journal.unkept.Store(&at)
}

func kickEach(sockets []*Socket, all bool) {
	for _, s := range sockets {
		if all {
			s.client.kickAll()
		} else {
			s.client.kick(s)
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
	c := content{m.Data, m.Attachments}
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
