package sioclient

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// A Handler handles one event of the server. Its error goes to the server's ack, if there
// is one: an [*sio.Error] as it is, any other as "internal error", which is logged. A panic
// counts as an error. What the server can cause is logged at Debug: an [*sio.Error], a
// connection that is lost, an acknowledgement that does not come.
//
// The handlers of one socket run one at a time, in the order in which the server sent. A
// handler of another namespace begins when the one before has returned, or after a tenth
// of a second. They run on no goroutine that reads, so a handler may wait for an
// acknowledgement.
type Handler func(c *Ctx) error

// Bind returns a Handler that decodes the first argument into an In and calls f with it,
// as sio.Bind does for a server: an argument that is missing or does not fit is answered
// with an error. In is struct{} for an event without arguments, an [sio.Optional] for an
// argument that may be left out, and [sio.Args] for all arguments.
//
// If f returns nil and the server asked for an acknowledgement that f has not sent, Bind
// sends one without values.
func Bind[In any](f func(c *Ctx, in In) error) Handler {
	if f == nil {
		misuse.Panic("sioclient: Bind got a nil function")
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

// Reply is like [Bind] and acknowledges the event with what f returns, if the server asked
// for that and f has not done it.
func Reply[In, Out any](f func(c *Ctx, in In) (Out, error)) Handler {
	if f == nil {
		misuse.Panic("sioclient: Reply got a nil function")
	}
	mustDecode[In]("Reply")
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
	switch dst := any(&in).(type) {
	case *struct{}:
		return in, nil
	case *sio.Args:
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

// mustDecode panics if no argument can be decoded into a T.
func mustDecode[T any](what string) {
	t := reflect.TypeFor[T]()
	switch k := t.Kind(); {
	case k == reflect.Interface && t.NumMethod() > 0,
		k == reflect.Chan, k == reflect.Func, k == reflect.UnsafePointer:
		misuse.Panic(fmt.Sprintf("sioclient: %s: nothing can be decoded into a %v: take a type that encoding/json knows", what, t))
	default:
	}
}

// handlers are the functions that are registered on a socket.
type handlers struct {
	mu  sync.Mutex // held while something is registered
	now atomic.Pointer[registered]
}

// A registered does not change.
type registered struct {
	events       map[string]Handler
	unknown      Handler
	any          []func(c *Ctx)
	outgoing     []func(s *Socket, event string, args sio.Args)
	connect      []func(s *Socket)
	connectError []func(s *Socket, err error)
	disconnect   []func(s *Socket, reason Reason)
}

func (h *handlers) get() *registered {
	if r := h.now.Load(); r != nil {
		return r
	}
	return new(registered)
}

func (h *handlers) outgoingFuncs() []func(*Socket, string, sio.Args) { return h.get().outgoing }
func (h *handlers) connectFuncs() []func(*Socket)                    { return h.get().connect }
func (h *handlers) connectErrorFuncs() []func(*Socket, error)        { return h.get().connectError }
func (h *handlers) disconnectFuncs() []func(*Socket, Reason)         { return h.get().disconnect }

// register changes a copy of what is registered.
func register(h *handlers, what string, isNil bool, change func(r *registered)) {
	if isNil {
		misuse.Panic("sioclient: " + what + " got a nil function")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := *h.get()
	change(&r)
	h.now.Store(&r)
}

// On registers the handler of an event. A second one for the same event panics, and so does
// a reserved name.
func (s *Socket) On(event string, h Handler) {
	if reserved(event) {
		misuse.Panic(fmt.Sprintf("sioclient: On(%q): the name is reserved: see OnConnect, OnConnectError and OnDisconnect", event))
	}
	register(&s.on, "On", h == nil, func(r *registered) {
		if r.events[event] != nil {
			misuse.Panic(fmt.Sprintf("sioclient: On(%q): the event has a handler: call both functions in one handler", event))
		}
		events := maps.Clone(r.events)
		if events == nil {
			events = make(map[string]Handler)
		}
		events[event] = h
		r.events = events
	})
}

// Off removes the handler of an event, if there is one.
func (s *Socket) Off(event string) {
	register(&s.on, "Off", false, func(r *registered) {
		r.events = maps.Clone(r.events)
		delete(r.events, event)
	})
}

// OnUnknown registers the handler of all events that have none of their own.
func (s *Socket) OnUnknown(h Handler) {
	register(&s.on, "OnUnknown", h == nil, func(r *registered) { r.unknown = h })
}

// OnAny adds a function that sees every event of the server before its handler.
func (s *Socket) OnAny(f func(c *Ctx)) {
	register(&s.on, "OnAny", f == nil, func(r *registered) { r.any = append(slices.Clip(r.any), f) })
}

// OnConnect adds a function that is called when the server has accepted the socket, also
// when it has connected again. Events that were missed come before it.
func (s *Socket) OnConnect(f func(s *Socket)) {
	register(&s.on, "OnConnect", f == nil, func(r *registered) { r.connect = append(slices.Clip(r.connect), f) })
}

// OnConnectError adds a function that is called when an attempt to connect has failed. An
// [*sio.Error] is a refusal of the server: then the client does not try again.
func (s *Socket) OnConnectError(f func(s *Socket, err error)) {
	register(&s.on, "OnConnectError", f == nil, func(r *registered) { r.connectError = append(slices.Clip(r.connectError), f) })
}

// OnDisconnect adds a function that is called when a connected socket is disconnected.
// [Socket.Active] tells whether the client connects it again.
func (s *Socket) OnDisconnect(f func(s *Socket, reason Reason)) {
	register(&s.on, "OnDisconnect", f == nil, func(r *registered) { r.disconnect = append(slices.Clip(r.disconnect), f) })
}
