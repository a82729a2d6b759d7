package sioclient

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

func reserved(event string) bool { return packet.Reserved(event) }

// A Ctx carries one event of the server to its handler. It embeds the [Socket] on which the
// event arrived. It is never reused, so it may be kept, to acknowledge the event later for
// example.
type Ctx struct {
	*Socket

	name     string
	args     packet.Args
	epoch    uint64
	ackID    uint64
	wantsAck bool
	acked    atomic.Bool
}

// An event is a Ctx on its way to its handler.
type event = Ctx

func newEvent(s *Socket, k packet.Packet, epoch uint64) *event {
	return &Ctx{Socket: s, name: k.EventName(), args: k.Args, epoch: epoch, ackID: k.ID, wantsAck: k.HasID}
}

// task returns the call of the event's handler.
func (c *Ctx) task() *task {
	return &task{m: c.m, what: "a handler", run: c.handle, done: c.failed, size: len(c.name) + c.args.Memory()}
}

// handle calls the functions for the event.
func (c *Ctx) handle() error {
	r := c.on.get()
	for _, f := range r.any {
		if err := rescue.Call(func() error { f(c); return nil }); err != nil {
			c.m.logError("OnAny failed", err)
		}
	}
	h := r.events[c.name]
	if h == nil {
		h = r.unknown
	}
	if h == nil {
		return nil
	}
	return h(c)
}

// Event returns the name of the event.
func (c *Ctx) Event() string { return c.name }

// Len returns the number of arguments.
func (c *Ctx) Len() int { return c.args.Len() }

// Size returns the size in bytes of the event's name and arguments, binary data included.
func (c *Ctx) Size() int { return len(c.name) + c.args.Size() }

// Args returns the arguments, without decoding them.
func (c *Ctx) Args() sio.Args { return sio.ArgsOf(c.args, c.m.wire.codec) }

// Bind decodes the arguments into dst, by position; each is a pointer as for
// [encoding/json.Unmarshal], or nil for an argument that is of no interest. It is like the
// Bind of a server's [sio.Ctx]: binary data arrives in a []byte at any depth, surplus
// arguments are ignored, and [sio.Optional] is for arguments that may be left out.
//
// An argument that is missing or does not fit makes Bind return an [*sio.Error], "invalid
// payload", for the handler to return.
func (c *Ctx) Bind(dst ...any) error {
	err := c.Args().Bind(dst...)
	if err == nil {
		return nil
	}
	bad := rescue.As[*packet.ArgumentError](err)
	if bad == nil || rescue.Panicked(bad.Err) {
		return err
	}
	return &sio.Error{Message: "invalid payload", Err: fmt.Errorf("decoding %q: %w", c.name, err)}
}

// Context returns a context that ends when the socket is disconnected, with a
// [*DisconnectError] as its cause.
func (c *Ctx) Context() context.Context {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return c.contextLocked(c.epoch)
}

// WantsAck reports whether the server waits for an acknowledgement that was not sent yet.
func (c *Ctx) WantsAck() bool { return c.wantsAck && !c.acked.Load() }

// Ack acknowledges the event with args. It may be called from anywhere, also after the
// handler has returned, but once: later calls return [ErrAckSent]. If the server did not
// ask for an ack, it returns [ErrNoAck].
func (c *Ctx) Ack(args ...any) error {
	if !c.wantsAck {
		return ErrNoAck
	}
	if c.acked.Load() {
		return ErrAckSent
	}
	frames, err := c.m.wire.ack(packet.Header{Namespace: c.ns, ID: c.ackID, HasID: true}, c.name, args)
	if err != nil {
		return err
	}
	if c.acked.Swap(true) {
		return ErrAckSent
	}
	m := c.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !c.connected || c.Socket.epoch != c.epoch {
		return ErrDisconnected
	}
	e := m.conn.engine
	if e.Queued() >= m.opts.MaxSendBuffer { // nobody else can slow down a server that asks and does not read
		e.Fail()
		m.lostLocked(ReasonTransportError, errNotReading)
		m.line.Start()
		return ErrDisconnected
	}
	if !e.Send(frames...) {
		return ErrDisconnected
	}
	return nil
}

var errNotReading = errors.New("the server does not read the acknowledgements that it asks for")
