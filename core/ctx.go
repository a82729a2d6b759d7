package sio

import (
	"context"
	"fmt"

	"github.com/sioplug/sioplug/internal/packet"
)

// Names for the log and [Ctx.Event] where there is no event of a client.
const (
	eventConnect    = "connect"
	eventDisconnect = "disconnect"
)

// A Ctx carries one inbound packet through the chain. It embeds the [Socket]
// on which the packet arrived. It is never reused, so it may be kept and
// passed on, to acknowledge the event later for example.
type Ctx struct {
	*Socket

	task *task
	args packet.Args
	ctx  context.Context //nolint:containedctx // as in http.Request: WithContext replaces it
}

// Context returns a context that ends when the socket is disconnected, with a
// [*DisconnectError] as its cause. It has the values of the request that opened the
// connection. [Ctx.WithContext] replaces it.
func (c *Ctx) Context() context.Context {
	if c.ctx != nil {
		return c.ctx
	}
	return (*taskContext)(c.task)
}

// WithContext returns a copy of c with another context, for middleware to pass to next.
// Derive ctx from c.Context().
func (c *Ctx) WithContext(ctx context.Context) *Ctx {
	d := *c
	d.ctx = ctx
	return &d
}

// WithArgs returns a copy of c with other arguments, for middleware to pass to next:
// middleware that decrypts arguments, for example.
func (c *Ctx) WithArgs(args ...any) (*Ctx, error) {
	w := c.wire()
	list, err := w.encodeAck(args)
	if err != nil {
		return nil, fmt.Errorf("encoding arguments: %w", err)
	}
	d := *c
	if d.args, err = packet.NewArgs(packet.Ack, list.data, list.attachments); err != nil {
		return nil, fmt.Errorf("encoding arguments: %w", err)
	}
	return &d, nil
}

// WithoutArg returns a copy of c without the argument at index i, for middleware that has
// read it. If there is none, or while the client connects, it returns c.
func (c *Ctx) WithoutArg(i int) *Ctx {
	if c.task.kind == taskConnect || i < 0 || i >= c.args.Len() {
		return c
	}
	d := *c
	d.args = c.args.Without(i)
	return &d
}

// Event returns the name of the event, or "connect" while the client connects.
func (c *Ctx) Event() string { return c.task.event }

// Route returns the name of the event if it has a handler of [Namespace.On], "connect"
// while the client connects, and "" for other events. Unlike the names of [Ctx.Event], which
// clients choose, these are few: use them to label metrics and traces.
func (c *Ctx) Route() string {
	if c.task.kind == taskConnect {
		return eventConnect
	}
	return c.task.endpoint.name
}

// Len returns the number of arguments.
func (c *Ctx) Len() int {
	if c.task.kind == taskConnect {
		return 1
	}
	return c.args.Len()
}

// Size returns the size in bytes of the event's name and arguments, binary data
// included: about what the client sent. While the client connects, it is the size of the
// auth payload.
func (c *Ctx) Size() int {
	if c.task.kind == taskConnect {
		auth, _ := c.authPayload()
		return len(auth)
	}
	return len(c.task.event) + c.args.Size()
}

// Bind decodes the arguments into dst, by position; each is a pointer as for
// [encoding/json.Unmarshal], or nil for an argument that is of no interest.
// Binary data arrives in a []byte, at any depth. Surplus arguments are
// ignored. While the client connects there is one argument, its auth payload,
// which is an empty object if it sent none. For arguments that clients may leave out,
// see [Optional].
//
// An argument that is missing or does not fit makes Bind return an [*Error],
// "invalid payload", for the handler to return.
//
// As with encoding/json, null leaves a value as it is: a string stays "". So check
// values that must not be empty. For a []byte, a client may also send a string: Bind
// decodes it as base64, without an error if it happens to be that. To tell binary data
// and strings apart, decode into an any: it gets a []byte or a string.
func (c *Ctx) Bind(dst ...any) error {
	var err error
	if c.task.kind == taskConnect {
		auth, dropped := c.authPayload()
		if dropped { // after the handlers of OnConnect
			return ErrAuthDropped
		}
		err = bindAuth(c.wire().codec, auth, dst)
	} else {
		err = Args{args: c.args, codec: c.wire().codec}.decode(dst)
	}
	if err == nil {
		return nil
	}
	return c.task.invalid(err)
}

// bindSimple is Bind for one value that is simple enough, and reports whether it
// is. dst does not escape.
func (c *Ctx) bindSimple(dst any) bool {
	return c.task.kind == taskEvent && c.args.DecodeSimple(dst)
}

// bindAuth decodes an auth payload, nil if there is none.
func bindAuth(codec packet.Codec, auth []byte, dst []any) error {
	for i, d := range dst[min(1, len(dst)):] {
		if o, is := d.(optional); is {
			o.reset()
		} else {
			return &packet.ArgumentError{Index: 1 + i, Err: packet.ErrMissingArgument}
		}
	}
	if len(dst) == 0 || dst[0] == nil {
		return nil
	}
	o, is := dst[0].(optional)
	switch {
	case is && auth == nil:
		o.reset()
		return nil
	case is:
		err := packet.Unmarshal(codec, auth, o.reset())
		if err == nil {
			o.found()
		}
		return err
	case auth == nil:
		auth = []byte("{}")
	}
	return packet.Unmarshal(codec, auth, dst[0])
}

// WantsAck reports whether the client waits for an acknowledgement that was not
// sent yet.
func (c *Ctx) WantsAck() bool { return c.task.wantsAck && !c.task.is(flagAcked) }

// Ack acknowledges the event with args. It may be called from anywhere, also
// after the handler has returned, but once: later calls return [ErrAckSent].
// If the client did not ask for an ack, it returns [ErrNoAck]. A handler may return
// that error as well: it is logged at Debug only.
func (c *Ctx) Ack(args ...any) error {
	if !c.task.wantsAck {
		return ErrNoAck
	}
	if c.task.is(flagAcked) {
		return ErrAckSent
	}
	m, err := c.wire().ack(packet.Header{Namespace: c.ns.name, ID: c.task.ackID, HasID: true}, c.task.event, args)
	if err != nil {
		return err
	}
	if !c.task.set(flagAcked) {
		return ErrAckSent
	}
	return c.send(m)
}
