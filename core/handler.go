package sio

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/sioplug/sioplug/internal/misuse"
)

// A Handler handles one inbound packet. Its error goes where [Error] says; a
// panic counts as an error, and so does the end of its goroutine ([runtime.Goexit]).
//
// Handlers of one socket run one at a time, in the order in which the client sent.
// Those of one client begin in the order in which it sent, whatever the namespace:
// one begins when the one before has returned. There is an exception, so that a slow
// handler does not hold up the client's other namespaces. If it takes longer than a
// tenth of a second, or waits for an acknowledgement (see [Socket.EmitWithAck]), the
// other namespaces go on in parallel. Handlers of different clients run in parallel.
type Handler func(c *Ctx) error

// A Middleware wraps a Handler. It runs next to let the packet through, or
// returns an error.
//
// The function is called when it is registered, once for each handler that it is put
// around: each event, all events without a handler together, or the connect chain.
// It is not called again, so variables that it declares last as long as the
// namespace, and belong to that one event. What all events share is declared outside
// of it. The namespaces of [Server.OfFunc] and [Server.OfRegexp] share the handlers
// of their parent.
//
// It runs on the goroutine that registers, and may register handlers itself. It must
// call next with the Ctx that it got, or with one that [Ctx.WithContext] or
// [Ctx.WithArgs] made of that.
type Middleware func(next Handler) Handler

// Guard returns a Middleware that continues only if check returns nil.
func Guard(check func(c *Ctx) error) Middleware {
	if check == nil {
		misuse.Panic("sio: Guard got a nil function")
	}
	return func(next Handler) Handler {
		return func(c *Ctx) error {
			if err := check(c); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// Bind returns a Handler that decodes the first argument into an In and calls f
// with it. An argument that is missing or does not fit is answered with an
// [Error], "invalid payload". For an event without arguments, In is struct{}. For
// an argument that clients may leave out, it is an [Optional]; an any is nil then. For
// all arguments, of any number, In is [Args].
//
// If f returns nil and the client asked for an acknowledgement that f has not sent,
// Bind sends one without values. So a client that awaits it can go on. To send
// values, use [Reply] or [Ctx.Ack]. If the acknowledgement has to come later, when f
// has returned, do not use Bind: a later Ack would get [ErrAckSent]. Write a Handler
// that decodes by [Ctx.Bind].
func Bind[In any](f func(c *Ctx, in In) error) Handler {
	if f == nil {
		misuse.Panic("sio: Bind got a nil function")
	}
	mustDecode[In]("Bind")
	return func(c *Ctx) error {
		in, err := bindFirst[In](c)
		if err != nil {
			return err
		}
		if err := f(c, in); err != nil || !c.WantsAck() {
			return err
		}
		if err := c.Ack(); err != ErrAckSent { //nolint:errorlint // it is not wrapped
			return err
		}
		return nil // a goroutine of f's has been faster
	}
}

// Reply is like [Bind] and acknowledges the event with what f returns, if the
// client asked for that and f has not done it.
func Reply[In, Out any](f func(c *Ctx, in In) (Out, error)) Handler {
	if f == nil {
		misuse.Panic("sio: Reply got a nil function")
	}
	mustDecode[In]("Reply")
	mustEncode[Out]("Reply")
	return func(c *Ctx) error {
		in, err := bindFirst[In](c)
		if err != nil {
			return err
		}
		out, err := f(c, in)
		if err != nil || !c.WantsAck() {
			return err
		}
		return c.Ack(out)
	}
}

func bindFirst[In any](c *Ctx) (in In, err error) {
	if _, none := any(in).(struct{}); none {
		return in, nil
	}
	if c.bindSimple(&in) {
		return in, nil
	}
	return bindAny[In](c)
}

// bindAny is a function of its own, so that bindFirst need not allocate a simple type.
func bindAny[In any](c *Ctx) (in In, err error) {
	switch dst := any(&in).(type) {
	case *Args:
		*dst = c.Args()
		return in, nil
	case *any:
		if c.Len() == 0 {
			return in, nil
		}
	}
	err = c.Bind(&in)
	return in, err
}

// chain composes middleware around h, the first one outermost.
func chain(h Handler, mw ...Middleware) Handler {
	for _, m := range slices.Backward(mw) {
		if h = m(h); h == nil {
			misuse.Panic("sio: a middleware returned a nil handler: return next, or a handler that calls it")
		}
	}
	return h
}

// mustDecode panics if no argument can be decoded into a T.
func mustDecode[T any](what string) {
	t := reflect.TypeFor[T]()
	if o, is := any((*T)(nil)).(optional); is {
		t = o.valueType()
	}
	if t.Kind() == reflect.Interface && t.NumMethod() > 0 {
		misuse.Panic(fmt.Sprintf("sio: %s: nothing can be decoded into a %v: take a type that implements it, or any", what, t))
	}
	mustHaveJSON(what, t)
}

// mustEncode panics if a T cannot be sent.
func mustEncode[T any](what string) {
	if t := reflect.TypeFor[T](); isOptional((*T)(nil)) {
		misuse.Panic(fmt.Sprintf("sio: %s: a %v cannot be sent: return a pointer instead", what, t))
	}
	mustHaveJSON(what, reflect.TypeFor[T]())
}

func mustHaveJSON(what string, t reflect.Type) {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		misuse.Panic(fmt.Sprintf("sio: %s: a %v cannot be sent or received: take a type that encoding/json knows", what, t))
	default:
	}
}
