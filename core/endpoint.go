package sio

import (
	"errors"
	"slices"
)

// An endpoint is the way of packets to a handler: through the middleware that was
// composed for it. It is immutable.
//
// Middleware gets a next that looks up in the packet's endpoint what follows. So
// middleware that is added later changes nothing in handlers that there are, whose
// closures may keep something.
type endpoint struct {
	*route

	any   []func(*Ctx)
	steps []*step // the last one is the handler
}

// A route is what an endpoint is for. It stays the same when the endpoint is
// replaced by another one.
type route struct {
	name string // of the event, which saves the copy out of each packet
}

// A step is a handler on the way: that of a middleware, or the last one.
type step struct{ handler Handler }

// A use is a middleware as it was added once: the same one may be added twice.
type use struct{ mw Middleware }

func usesOf(mw []Middleware) []*use {
	uses := make([]*use, len(mw))
	for i, m := range mw {
		uses[i] = &use{m}
	}
	return uses
}

// composed are the steps that a registration has made of middleware. If it has to
// begin anew, it must not make them again.
type composed map[composition]*step

type composition struct {
	use   *use
	route *route
}

func newEndpoint(name string, h Handler) *endpoint {
	return &endpoint{route: &route{name}, steps: []*step{{h}}}
}

// run sends a packet on its way.
func (e *endpoint) run(c *Ctx) error {
	for _, f := range e.any {
		f(c)
	}
	return e.steps[0].handler(c)
}

// bare reports whether there is nothing on the way but the handler.
func (e *endpoint) bare() bool { return len(e.steps) == 1 }

var errOtherRoute = errors.New("sio: middleware called next with the Ctx of another packet: " +
	"use its own Ctx, or the result of WithContext or WithArgs")

// next is what follows for a packet.
func (s *step) next(c *Ctx) error {
	steps := c.in.route.steps
	if i := slices.Index(steps, s); i >= 0 {
		return steps[i+1].handler(c)
	}
	return errOtherRoute
}

// around returns the endpoint with middleware inside of that which it has.
func (r *routes) around(e *endpoint, uses []*use) *endpoint {
	if len(uses) == 0 {
		return e
	}
	last := len(e.steps) - 1
	steps := slices.Clone(e.steps[:last])
	for _, u := range uses {
		steps = append(steps, r.compose(u, e.route))
	}
	return &endpoint{e.route, e.any, append(steps, e.steps[last])}
}

// compose calls a middleware for a route.
func (r *routes) compose(u *use, to *route) *step {
	key := composition{u, to}
	if s := r.composed[key]; s != nil {
		return s
	}
	s := new(step)
	s.handler = chain(s.next, u.mw)
	r.composed[key] = s
	return s
}

// endingIn returns the endpoint with another handler.
func (e *endpoint) endingIn(h Handler) *endpoint {
	return &endpoint{e.route, e.any, append(slices.Clone(e.steps[:len(e.steps)-1]), &step{h})}
}

// seenBy returns the endpoint with functions that see its packets first.
func (e *endpoint) seenBy(f []func(*Ctx)) *endpoint { return &endpoint{e.route, f, e.steps} }
