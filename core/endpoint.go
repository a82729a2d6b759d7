package sio

import (
	"errors"
	"slices"
)

// An endpoint is a handler with the middleware around it. It is immutable.
//
// Middleware gets a next that looks up the following step in the packet's endpoint. So
// middleware that is added later does not replace the handlers of earlier middleware,
// whose closures may keep state.
type endpoint struct {
	*route

	any   []func(*Ctx)
	steps []*step // the last one is the handler
}

// A route identifies an event. It stays the same when the event gets another endpoint.
type route struct {
	name string // of the event, which saves the copy out of each packet
	pace pace
}

// A step is one handler of an endpoint: that of a middleware, or the last one.
type step struct{ handler Handler }

// A use is one registration of a middleware. The same middleware may be registered
// twice.
type use struct{ mw Middleware }

func usesOf(mw []Middleware) []*use {
	uses := make([]*use, len(mw))
	for i, m := range mw {
		uses[i] = &use{m}
	}
	return uses
}

// composed are the steps that a registration has made so far. If the registration has to
// start again, it uses them.
type composed map[composition]*step

type composition struct {
	use   *use
	route *route
}

func newEndpoint(name string, h Handler) *endpoint {
	return &endpoint{route: &route{name: name}, steps: []*step{{h}}}
}

// run calls the functions of OnAny, and then the first step.
func (e *endpoint) run(c *Ctx) error {
	for _, f := range e.any {
		f(c)
	}
	return e.steps[0].handler(c)
}

// hasNoMiddleware reports whether the endpoint is only a handler.
func (e *endpoint) hasNoMiddleware() bool { return len(e.steps) == 1 }

var errOtherRoute = errors.New("sio: middleware called next with the Ctx of another packet: " +
	"use its own Ctx, or the result of WithContext or WithArgs")

// next calls the step that follows in the packet's endpoint.
func (s *step) next(c *Ctx) error {
	steps := c.task.endpoint.steps
	if i := slices.Index(steps, s); i >= 0 {
		return steps[i+1].handler(c)
	}
	return errOtherRoute
}

// withMiddleware returns the endpoint with more middleware, inside of the existing one.
func (r *routes) withMiddleware(e *endpoint, uses []*use) *endpoint {
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

// compose calls a middleware for a route, once.
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

// withHandler returns the endpoint with another handler.
func (e *endpoint) withHandler(h Handler) *endpoint {
	return &endpoint{e.route, e.any, append(slices.Clone(e.steps[:len(e.steps)-1]), &step{h})}
}

// withOnAny returns the endpoint with other functions of OnAny.
func (e *endpoint) withOnAny(f []func(*Ctx)) *endpoint { return &endpoint{e.route, f, e.steps} }
