package sio

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/packet"
)

// routes are the handlers and the middleware of a namespace. They are immutable, so
// dispatch needs no lock: a registration makes a copy.
type routes struct {
	connect      *endpoint
	events       map[string]*endpoint
	unknown      *endpoint // of events that are not in events
	hasUnknown   bool      // and have a handler all the same
	eventMW      []*use
	onConnect    []Handler
	onDisconnect []func(*Socket, Reason)
	onAny        []func(*Ctx)
	onOutgoing   []func(*Socket, string, Args)
	onRoom       []func(RoomEvent)
	onServer     map[string]ServerHandler
	dropOldest   int // see DropOldestByDefault

	composed composed // of the registration that makes these routes
}

func newRoutes() *routes {
	return &routes{
		connect:  newEndpoint(eventConnect, ignore),
		unknown:  newEndpoint("", ignore),
		events:   map[string]*endpoint{},
		onServer: map[string]ServerHandler{},
	}
}

func ignore(*Ctx) error { return nil }

// register applies change to the routes of the namespace and of its children. change may be
// called more than once. It runs without a lock, because middleware that it makes
// handlers of may register something itself.
func (n *Namespace) register(change func(r *routes)) {
	done := make(composed)
	for {
		old := n.routes.Load()
		apart, ok := n.changeRoutes(old, old.with(change, done))
		if !ok {
			continue // another goroutine has registered something meanwhile
		}
		for _, child := range apart {
			for ok := false; !ok; {
				old := child.routes.Load()
				ok = child.routes.CompareAndSwap(old, old.with(change, done))
			}
		}
		return
	}
}

// changeRoutes replaces old routes. It reports whether old were the current ones.
// Children share the routes of their parent. It returns the children that have
// registrations of their own, whose routes the caller has to change.
func (n *Namespace) changeRoutes(old, changed *routes) (apart []*Namespace, ok bool) {
	if n.pattern == nil {
		return nil, n.routes.CompareAndSwap(old, changed)
	}
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	if !n.routes.CompareAndSwap(old, changed) {
		return nil, false
	}
	for _, child := range n.selfOrChildren() {
		if !child.routes.CompareAndSwap(old, changed) {
			apart = append(apart, child)
		}
	}
	return apart, true
}

// with returns a copy that change was applied to.
func (r *routes) with(change func(r *routes), done composed) *routes {
	c := *r
	c.events = maps.Clone(r.events)
	c.eventMW = slices.Clone(r.eventMW)
	c.onConnect = slices.Clone(r.onConnect)
	c.onDisconnect = slices.Clone(r.onDisconnect)
	c.onAny = slices.Clone(r.onAny)
	c.onOutgoing = slices.Clone(r.onOutgoing)
	c.onRoom = slices.Clone(r.onRoom)
	c.onServer = maps.Clone(r.onServer)
	c.composed = done
	change(&c)
	c.composed = nil
	return &c
}

// UseConnect adds middleware around the acceptance of clients: it runs once
// for each CONNECT to the namespace, before the client is connected. An error
// refuses the client. [Ctx.Bind] decodes the client's auth payload.
func (n *Namespace) UseConnect(mw ...Middleware) {
	mustMiddleware("UseConnect", mw)
	uses := usesOf(mw)
	n.register(func(r *routes) { r.connect = r.withMiddleware(r.connect, uses) })
}

// UseEvents adds middleware around every event, known or not. It is outside of the
// middleware of single events, and inside of middleware that was added earlier. It is
// called once for each event that is or will be registered, and once for all events
// without a handler.
func (n *Namespace) UseEvents(mw ...Middleware) {
	mustMiddleware("UseEvents", mw)
	uses := usesOf(mw)
	n.register(func(r *routes) {
		r.eventMW = append(r.eventMW, uses...)
		for _, name := range slices.Sorted(maps.Keys(r.events)) {
			r.events[name] = r.withMiddleware(r.events[name], uses)
		}
		r.unknown = r.withMiddleware(r.unknown, uses)
	})
}

// OnConnect adds a handler that runs when a client has been accepted, before
// its first event. What it emits follows the acceptance. Several run in the
// order in which they were added; an error of one disconnects the client.
func (n *Namespace) OnConnect(h Handler) {
	mustHandler("OnConnect", h)
	n.register(func(r *routes) { r.onConnect = append(r.onConnect, h) })
}

// OnDisconnect adds a function that runs when a client that was accepted has
// disconnected, after its last event. The socket is still in its rooms, but
// can no longer be emitted to. Broadcasts to others work: s.To("room").Emit.
func (n *Namespace) OnDisconnect(f func(s *Socket, reason Reason)) {
	if f == nil {
		misuse.Panic("sio: OnDisconnect got a nil function")
	}
	n.register(func(r *routes) { r.onDisconnect = append(r.onDisconnect, f) })
}

// On sets the handler of an event, with middleware of its own, outermost first.
// It panics if the event has a handler already.
//
// It also panics for the names of the JavaScript server's own events. The message names
// the method to use instead: [Namespace.OnConnect] for "connection" and "connect",
// [Namespace.OnDisconnect] for "disconnect" and "disconnecting",
// [Server.OnNewNamespace] for "new_namespace". Clients cannot send an event of most of
// these names. They can send "connection" and "new_namespace", which then goes to
// [Namespace.OnUnknown]. The name "error" is as any other: its handler gets events of
// clients only. For errors of handlers there is [Options.OnError].
func (n *Namespace) On(event string, h Handler, mw ...Middleware) {
	mustHandler(fmt.Sprintf("On(%q)", event), h)
	mustMiddleware(fmt.Sprintf("On(%q)", event), mw)
	if instead := useInstead(event); instead != "" {
		misuse.Panic(fmt.Sprintf("sio: On(%q): %s", event, instead))
	}
	e := newEndpoint(event, chain(h, mw...))
	n.register(func(r *routes) {
		if r.events[event] != nil {
			misuse.Panic(fmt.Sprintf("sio: On(%q): namespace %s has a handler for it already: combine both in one handler",
				event, n.name))
		}
		r.events[event] = r.withMiddleware(e, r.eventMW).withOnAny(r.onAny)
	})
}

// useInstead returns a hint for the name of an event that cannot have a handler, "" for
// other names.
func useInstead(event string) string {
	switch {
	case event == "connection" || event == "connect":
		return "it is an event of the JavaScript server itself: use OnConnect"
	case event == "disconnect" || event == "disconnecting":
		return "it is an event of the JavaScript server itself: use OnDisconnect"
	case event == "new_namespace":
		return "it is an event of the JavaScript server itself: use Server.OnNewNamespace"
	case event == "connect_error":
		return "the name is reserved: it is an event of clients, which get it when UseConnect refuses them"
	case packet.Reserved(event):
		return "the name is reserved, and clients cannot send it: use another name"
	}
	return ""
}

// OnUnknown sets the handler of events that have none. Without it they are
// ignored.
func (n *Namespace) OnUnknown(h Handler) {
	mustHandler("OnUnknown", h)
	n.register(func(r *routes) {
		if r.hasUnknown {
			misuse.Panic(fmt.Sprintf("sio: OnUnknown: namespace %s has one already: combine both in one handler", n.name))
		}
		r.unknown, r.hasUnknown = r.unknown.withHandler(h), true
	})
}

func mustHandler(what string, h Handler) {
	if h == nil {
		misuse.Panic("sio: " + what + " got a nil handler")
	}
}

func mustMiddleware(what string, mw []Middleware) {
	if slices.ContainsFunc(mw, func(m Middleware) bool { return m == nil }) {
		misuse.Panic("sio: " + what + " got a nil middleware")
	}
}
