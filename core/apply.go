package sio

import (
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// perform applies m to this server's clients, and to clients that may come back. If
// there is a log, it does so when the log has m, in the order of the log. An error means
// that clients that come back will not be affected by m.
func (n *Namespace) perform(m *adapter.Message) error {
	if n.log == nil || m.Kind == adapter.Broadcast && m.Droppable() {
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

// apply applies m. The caller calls the returned function, if it is not nil, when it
// holds no lock.
func (n *Namespace) apply(m *adapter.Message, offset string) (afterLock func()) {
	t := target(m.Target)
	if offset == "" && n.logState != nil && m.Kind != adapter.Broadcast {
		n.noteLostChange() // a client that comes back during the change may be affected by it
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
	case adapter.Broadcast, adapter.ServerEvent, adapter.Fetch, adapter.Count:
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

func disconnectEach(sockets []*Socket, all bool) {
	for _, s := range sockets {
		if all {
			s.client.disconnectAll()
		} else {
			s.client.disconnectSocket(s)
		}
	}
}

// deliver sends a broadcast to this server's clients. offset is the message's offset in
// the log, "" without a log.
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

// eventFrames encodes a broadcast for this server's clients. An offset becomes the last
// argument (SIO-CSR-2).
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
	if err != nil {
		return nil, err
	}
	if m.NoCompress {
		for _, f := range fs {
			f.SetUncompressed()
		}
	}
	n.setPolicyOf(m, fs)
	return fs, nil
}

func target(t adapter.Target) rooms.Target { return rooms.Target{Rooms: t.Rooms, Except: t.Except} }

// deliver queues the frames of a broadcast for the socket, and reports whether it did.
// It does not if the client has gone, or if the message is volatile and the client is
// not ready.
func (s *Socket) deliver(m []*frame.Frame, volatile bool) bool {
	switch {
	case s.state.Load() != stateConnected:
		return false
	case volatile:
		return s.client.session.SendVolatile(s.client.framesFor(m)...)
	default:
		return s.client.session.Send(s.client.framesFor(m)...) == nil
	}
}
