package sio

import (
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// neverDropped is Broadcast.dropOldest for events that are not dropped, whatever the
// default of the namespace is.
const neverDropped = -1

// DropOldest returns the set for events of which at most n wait for a client that reads
// slowly. If one more is emitted, the oldest is dropped. Events with another name, and
// those of other namespaces, have a limit of their own. Events that were emitted without
// DropOldest do not count and are not dropped. The order of the events that are sent does
// not change.
//
// Such events never disconnect a client. If [Options.MaxSendBuffer] bytes wait for it,
// the oldest events with DropOldest are dropped, to make room for any other event.
// [Socket.Dropped] counts them.
//
// If n is 0 or less, no event is dropped, whatever [Namespace.DropOldestByDefault] says.
// Events with an acknowledgement are never dropped. With [Options.ConnectionStateRecovery],
// the events are not kept for a client that is away: see [Recovery]. In a cluster, other
// Go servers do as this one does. For servers in Node.js it is an ordinary event.
func (b Broadcast) DropOldest(n int) Broadcast {
	if b.dropOldest = n; n <= 0 {
		b.dropOldest = neverDropped
	}
	return b
}

// Latest returns the set for events of which only the newest waits for a client that
// reads slowly. An event replaces a waiting event that was emitted with the same key in
// the same namespace, whatever its name is, and takes its place at the end of the queue.
// So a client that stays connected always gets the newest event of each key. It is for
// positions, prices and other states: srv.To("map").Latest("car:7").Emit("moved", x, y).
//
// Events with different keys all wait, and a client is disconnected at
// [Options.MaxSendBuffer]. To have them dropped instead, call [Broadcast.DropOldest] as
// well. A key takes memory for each client, so it should be short. An empty key replaces
// nothing. In a cluster, keys have to be valid UTF-8. For acknowledgements, recovery and
// clusters, see DropOldest.
func (b Broadcast) Latest(key string) Broadcast {
	b.latest = key
	return b
}

// maxWaiting returns how many of the set's events may wait, 0 for any number.
func (b Broadcast) maxWaiting() int {
	if b.dropOldest == 0 {
		return b.ns.routes.Load().dropOldest
	}
	return max(b.dropOldest, 0)
}

// DropOldestByDefault makes [Broadcast.DropOldest] the default for all events that this
// server emits to clients of the namespace, those of [Socket.Emit] included. Events with
// an acknowledgement are left as they are. If n is 0 or less, no event is dropped.
//
// These events are not kept for [Options.ConnectionStateRecovery]. For an event that has
// to be, call DropOldest(0).
func (n *Namespace) DropOldestByDefault(limit int) {
	n.register(func(r *routes) { r.dropOldest = max(limit, 0) })
}

// EmitDropOldest is [Socket.Emit] with the limit of [Broadcast.DropOldest]: at most n
// events of that name wait for the client.
func (s *Socket) EmitDropOldest(n int, event string, args ...any) error {
	return s.emitDroppable(max(n, 0), "", event, args)
}

// EmitLatest is [Socket.Emit] for an event that replaces a waiting one with the same key:
// see [Broadcast.Latest].
func (s *Socket) EmitLatest(key, event string, args ...any) error {
	return s.emitDroppable(s.ns.routes.Load().dropOldest, key, event, args)
}

func (s *Socket) emitDroppable(maxWaiting int, key, event string, args []any) error {
	if s.ns.log != nil && maxWaiting == 0 && key == "" {
		return s.emitLogged(event, args)
	}
	s.ns.observe(s, event, args)
	m, err := s.wire().event(frame.Single(), packet.Header{Namespace: s.ns.name}, event, args)
	if err != nil {
		return err
	}
	s.ns.setPolicy(m, maxWaiting, key, event)
	if err := s.send(m); err != engine.ErrDropped { //nolint:errorlint // it is not wrapped
		return err
	}
	return nil
}

// setPolicy says what may happen to an event while it waits for a client.
func (n *Namespace) setPolicy(m []*frame.Frame, maxWaiting int, key, event string) {
	if maxWaiting > 0 || key != "" {
		frame.SetPolicy(m, frame.Policy{Namespace: n.name, MaxWaiting: maxWaiting, Event: event, Key: key})
	}
}

// setPolicyOf is setPolicy for a broadcast, of this server or another one.
func (n *Namespace) setPolicyOf(m *adapter.Message, fs []*frame.Frame) {
	event := ""
	if m.DropOldest > 0 {
		event = eventName(m.Data)
	}
	n.setPolicy(fs, m.DropOldest, m.Latest, event)
}

// eventName returns the name of an event in JSON, "" if it has none.
func eventName(data []byte) string {
	c := rawjson.Cursor{P: data}
	if !packet.ValidList(data) || !c.More() || c.Peek() != '"' {
		return ""
	}
	return rawjson.DecodeString(c.Str())
}

// A DropCount counts events that were not sent to slow clients, because newer events came
// while they waited.
type DropCount struct {
	Dropped  uint64 // by [Broadcast.DropOldest]: too many waited, or the send buffer was full
	Replaced uint64 // by [Broadcast.Latest]: an event with the same key came
}

// Dropped returns how many events were dropped for the client since it opened its
// connection, in all of its namespaces. Volatile events are not counted.
func (s *Socket) Dropped() DropCount { return DropCount(s.client.session.Drops()) }

// Dropped returns how many events were dropped for all clients of this server since it
// was made. Volatile events are not counted.
func (s *Server) Dropped() DropCount { return DropCount(s.engine.Drops()) }

// OnDrained has f called once, when at most limit bytes wait to be sent to the client, as
// [Socket.Buffered] counts them. If no more wait now, that is at once. Call it when
// Buffered has become too large, and go on sending in f:
//
//	if s.Buffered() > 256<<10 {
//		feed.Pause()
//		s.OnDrained(32<<10, func(err error) { feed.Resume(err) })
//	}
//
// f gets an error that matches [ErrDisconnected] if the client has gone. OnDrained
// returns false, and does not call f, if the socket is not connected, if an earlier
// function of the socket still waits, or if the server shuts down. f may call OnDrained.
//
// f runs on a goroutine of its own, at the same time as handlers, and may wait. The
// functions of one connection run one after the other. [Server.Shutdown] waits for them.
func (s *Socket) OnDrained(limit int, f func(err error)) bool {
	if !s.Connected() || !s.ns.server.sockets.Enter() {
		return false
	}
	registered := s.client.session.OnDrained(s, limit, func(err error) {
		defer s.ns.server.sockets.Leave()
		if err != nil {
			err = ErrDisconnected // the socket may be told in a moment
		}
		if why := s.checkConnected(); why != nil {
			err = why
		}
		f(err)
	})
	if !registered {
		s.ns.server.sockets.Leave()
	}
	return registered
}
