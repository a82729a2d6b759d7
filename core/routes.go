package sio

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sioplug/sioplug/core/internal/packet"
)

// routes are what was registered on a namespace. They are immutable: a
// registration makes a copy, so that dispatch needs no lock.
type routes struct {
	connectMW  []Middleware
	eventMW    []Middleware
	onConnect  []Handler
	onLeave    []func(*Socket, Reason)
	onEvent    map[string]route
	onUnknown  Handler
	onAny      []Middleware
	onOutgoing []func(*Socket, string, Args)
	onRoom     []func(RoomEvent)
	onServer   map[string]ServerHandler
	connect    Handler             // connectMW composed
	events     map[string]endpoint // eventMW and the events' own middleware composed
	unexpected Handler             // for events that are not in events
}

type route struct {
	handler Handler
	mw      []Middleware
}

// An endpoint is what an event leads to. It has the name as well, which saves
// the copy out of each packet.
type endpoint struct {
	name    string
	handler Handler
}

func ignore(*Ctx) error { return nil }

// compose builds the chains from what was registered.
func (r *routes) compose() {
	r.connect = chain(ignore, r.connectMW...)
	r.events = make(map[string]endpoint, len(r.onEvent))
	for name, e := range r.onEvent {
		r.events[name] = endpoint{name, r.around(chain(e.handler, e.mw...))}
	}
	unknown := r.onUnknown
	if unknown == nil {
		unknown = ignore
	}
	r.unexpected = r.around(unknown)
}

// around composes what every event goes through around h.
func (r *routes) around(h Handler) Handler { return chain(chain(h, r.eventMW...), r.onAny...) }

// register applies change to the routes, and to those of children.
func (n *Namespace) register(change func(r *routes)) {
	if n.family == nil {
		n.changeRoutes(change)
		return
	}
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	n.changeRoutes(change)
	for _, child := range n.members() {
		child.changeRoutes(change)
	}
}

// changeRoutes replaces the routes by a copy that change was applied to.
func (n *Namespace) changeRoutes(change func(r *routes)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := *n.routes.Load()
	r.connectMW = slices.Clone(r.connectMW)
	r.eventMW = slices.Clone(r.eventMW)
	r.onConnect = slices.Clone(r.onConnect)
	r.onLeave = slices.Clone(r.onLeave)
	r.onEvent = maps.Clone(r.onEvent)
	r.onAny = slices.Clone(r.onAny)
	r.onOutgoing = slices.Clone(r.onOutgoing)
	r.onRoom = slices.Clone(r.onRoom)
	r.onServer = maps.Clone(r.onServer)
	change(&r)
	r.compose()
	n.routes.Store(&r)
}

// UseConnect adds middleware around the acceptance of clients: it runs once
// for each CONNECT to the namespace, before the client is connected. An error
// refuses the client. [Ctx.Bind] decodes the client's auth payload.
func (n *Namespace) UseConnect(mw ...Middleware) {
	mustMiddleware("UseConnect", mw)
	n.register(func(r *routes) { r.connectMW = append(r.connectMW, mw...) })
}

// UseEvents adds middleware around every event, known or not, outside of the
// middleware that events have of their own.
func (n *Namespace) UseEvents(mw ...Middleware) {
	mustMiddleware("UseEvents", mw)
	n.register(func(r *routes) { r.eventMW = append(r.eventMW, mw...) })
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
// can no longer be emitted to.
func (n *Namespace) OnDisconnect(f func(s *Socket, reason Reason)) {
	if f == nil {
		misuse("OnDisconnect got a nil function")
	}
	n.register(func(r *routes) { r.onLeave = append(r.onLeave, f) })
}

// On sets the handler of an event, with middleware of its own, outermost first.
// It panics if the name is reserved or has a handler already.
func (n *Namespace) On(event string, h Handler, mw ...Middleware) {
	mustHandler(fmt.Sprintf("On(%q)", event), h)
	mustMiddleware(fmt.Sprintf("On(%q)", event), mw)
	if packet.Reserved(event) {
		misuse(fmt.Sprintf("On(%q): the name is reserved: use OnConnect, OnDisconnect, or another name", event))
	}
	n.register(func(r *routes) {
		if _, taken := r.onEvent[event]; taken {
			misuse(fmt.Sprintf("On(%q): namespace %s has a handler for it already: put what both do into one",
				event, n.name))
		}
		r.onEvent[event] = route{h, slices.Clone(mw)}
	})
}

// OnUnknown sets the handler of events that have none. Without it they are
// ignored.
func (n *Namespace) OnUnknown(h Handler) {
	mustHandler("OnUnknown", h)
	n.register(func(r *routes) {
		if r.onUnknown != nil {
			misuse(fmt.Sprintf("OnUnknown: namespace %s has one already: put what both do into one", n.name))
		}
		r.onUnknown = h
	})
}

func mustHandler(what string, h Handler) {
	if h == nil {
		misuse(what + " got a nil handler")
	}
}

func mustMiddleware(what string, mw []Middleware) {
	if slices.ContainsFunc(mw, func(m Middleware) bool { return m == nil }) {
		misuse(what + " got a nil middleware")
	}
}
