package sioadmin

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
)

// What may wait for the feed's goroutine. States beyond that are left out, and then all
// administrators get a new list of sockets. Events beyond that are left out and counted.
const (
	maxStates = 8192
	maxEvents = 1024
)

// maxShown is how many events of a kind may wait for an administrator who reads slowly.
const maxShown = 1000

// A feed tells administrators of sockets, rooms and events, in Development.
//
// Its functions are called by the server, for any client. They note what they are told under
// mu, and queue a message. One goroutine, [Admin.run], sends the messages. So the UI gets
// all in the order in which it was noted. A list of sockets is made under mu as well, and
// sent behind all messages that were queued before: the UI misses nothing and gets nothing
// twice.
type feed struct {
	admin  *Admin
	filter handshakeFilter
	shared *sio.Key[sharedData]

	wake   chan struct{} // has room for one: there are messages
	synced chan snapshot

	mu         sync.Mutex
	watching   map[*sio.Namespace]struct{}
	sockets    map[socketKey]*member
	ofSession  map[*engine.Session][]*member
	changed    map[*member]struct{} // those whose data was set
	queue      []message
	states     int  // in the queue; the rest are events
	overflowed bool // states were left out
	updating   bool // a goroutine encodes data
	syncing    bool // a goroutine fetches
	syncFor    []*sio.Socket
	gone       map[socketKey]struct{} // who has disconnected meanwhile
	budget     budget
}

type socketKey struct{ namespace, id string }

// A member is a socket that administrators know of, with the rooms that they know of.
type member struct {
	socketKey

	socket    *sio.Socket
	client    string
	transport string
	handshake handshakeInfo
	rooms     []string
}

// A message is an event for all administrators.
type message struct {
	event string
	state bool // the UI is wrong without it
	args  []any
}

func newFeed(a *Admin) *feed {
	return &feed{
		admin: a, filter: newHandshakeFilter(&a.opts), shared: sio.NewDataKey[sharedData](sharedDataName),
		wake: make(chan struct{}, 1), synced: make(chan snapshot),
		watching: make(map[*sio.Namespace]struct{}), sockets: make(map[socketKey]*member),
		ofSession: make(map[*engine.Session][]*member), changed: make(map[*member]struct{}),
		gone:   make(map[socketKey]struct{}),
		budget: budget{perSecond: a.opts.MaxEventsPerSecond},
	}
}

// watch registers the feed's functions in a namespace, once.
func (f *feed) watch(n *sio.Namespace) {
	f.mu.Lock()
	_, known := f.watching[n]
	f.watching[n] = struct{}{}
	f.mu.Unlock()
	if known {
		return
	}
	name := n.Name()
	n.OnRoom(func(e sio.RoomEvent) { f.roomChanged(name, e) })
	if name != f.admin.opts.Namespace {
		n.OnAny(f.received)
		n.OnAnyOutgoing(f.sent)
	}
}

// forget is called when a namespace has ended.
func (f *feed) forget(n *sio.Namespace) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watching, n)
}

// now is a date as the UI expects it.
func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

// stateLocked queues a state.
func (f *feed) stateLocked(event string, args ...any) {
	if !f.admin.watched() {
		return
	}
	if f.states >= maxStates {
		f.overflowed = true
		return
	}
	f.states++
	f.queueLocked(message{event, true, args})
}

func (f *feed) queueLocked(m message) {
	f.queue = append(f.queue, m)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// takeLocked returns what is queued.
func (f *feed) takeLocked() []message {
	all := f.queue
	f.queue, f.states = nil, 0
	return all
}

// flush sends what is queued.
func (f *feed) flush() {
	f.mu.Lock()
	all := f.takeLocked()
	if f.overflowed {
		f.overflowed = false
		f.syncLocked(nil)
	}
	f.mu.Unlock()
	f.send(all)
}

func (f *feed) send(all []message) {
	for _, m := range all {
		if m.state {
			f.admin.broadcast(m.event, 0, m.args...)
		} else {
			f.admin.broadcast(m.event, maxShown, m.args...)
		}
	}
}

// socketConnected notes a socket, with the rooms that it is in. Its own room comes first,
// as with the official server.
func (f *feed) socketConnected(i sio.SocketConnectedInfo) {
	s := i.Socket
	m := &member{
		socketKey: socketKey{s.Namespace().Name(), s.ID()}, socket: s,
		client: clientID(i.Session), handshake: f.filter.describe(s.Handshake()),
	}
	data := f.dataOf(s)
	f.mu.Lock()
	f.sockets[m.socketKey] = m
	f.ofSession[i.Session] = append(f.ofSession[i.Session], m)
	m.transport, m.rooms = s.Transport(), s.Rooms()
	f.stateLocked("room_joined", m.namespace, m.id, m.id, now())
	f.stateLocked("socket_connected", m.describe(data), now())
	shared := sharedData{m.client, m.transport}
	f.mu.Unlock()
	f.share(s, shared)
}

// share has other servers know of a connection.
func (f *feed) share(s *sio.Socket, d sharedData) {
	if f.admin.clustered {
		f.shared.Set(s, d)
	}
}

// socketDisconnected is called while the socket still is in its rooms. That it leaves them
// is not waited for, because the events of rooms may be left out.
func (f *feed) socketDisconnected(i sio.SocketDisconnectedInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.sockets[socketKey{i.Socket.Namespace().Name(), i.Socket.ID()}]
	if m == nil {
		return
	}
	f.stateLocked("socket_disconnected", m.namespace, m.id, string(i.Reason), now())
	for _, room := range m.rooms {
		f.stateLocked("room_left", m.namespace, room, m.id, now())
	}
	delete(f.sockets, m.socketKey)
	if f.syncing {
		f.gone[m.socketKey] = struct{}{}
	}
	delete(f.changed, m)
	rest := slices.DeleteFunc(f.ofSession[i.Session], func(o *member) bool { return o == m })
	if f.ofSession[i.Session] = rest; len(rest) == 0 {
		delete(f.ofSession, i.Session)
	}
}

// roomChanged notes a join or a leave, unless the list of the socket's rooms was made
// afterwards.
func (f *feed) roomChanged(namespace string, e sio.RoomEvent) {
	if e.Kind != sio.RoomJoined && e.Kind != sio.RoomLeft {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.sockets[socketKey{namespace, e.Socket}]
	if m == nil {
		return
	}
	at := slices.Index(m.rooms, e.Room)
	switch {
	case e.Kind == sio.RoomJoined && at < 0:
		m.rooms = append(m.rooms, e.Room)
		f.stateLocked("room_joined", namespace, e.Room, m.id, now())
	case e.Kind == sio.RoomLeft && at >= 0:
		m.rooms = slices.Delete(m.rooms, at, at+1)
		f.stateLocked("room_left", namespace, e.Room, m.id, now())
	}
}

// sessionUpgraded notes the new transport of a client.
func (f *feed) sessionUpgraded(i sio.SessionInfo) {
	f.mu.Lock()
	members := slices.Clone(f.ofSession[i.Session])
	for _, m := range members {
		m.transport = i.Transport
		f.stateLocked("socket_updated", transportUpdate{m.id, m.namespace, i.Transport})
	}
	f.mu.Unlock()
	for _, m := range members {
		f.share(m.socket, sharedData{m.client, i.Transport})
	}
}

type transportUpdate struct {
	ID        string `json:"id"`
	Namespace string `json:"nsp"`
	Transport string `json:"transport"`
}

// describe describes a member; the feed's mu is held.
func (m *member) describe(data rawData) socketInfo {
	return socketInfo{
		ID: m.id, ClientID: m.client, Transport: m.transport, Namespace: m.namespace,
		Data: data, Handshake: m.handshake, Rooms: slices.Clone(m.rooms),
	}
}

// tick is called with the stats.
func (f *feed) tick() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.changed) > 0 && !f.updating {
		f.updating = true
		go f.updateData() // ends with the methods of the values, or their time
	}
	if left, namespace := f.budget.takeLeftOut(); left > 0 {
		f.queueLocked(message{event: "event_received", args: []any{namespace, "", []any{leftOutText(left)}, now()}})
	}
}

func (f *feed) debug(msg string, err error) {
	f.admin.log.Debug(msg, slog.Any("err", err)) //nolint:sloglint // its callers have constants
}
