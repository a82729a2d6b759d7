package sio

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

// Names of what is no event of a client's.
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

// A task is what all copies of a Ctx share.
type task struct {
	ctx      Ctx // the first copy, to save an allocation
	kind     taskKind
	endpoint *endpoint // that the packet takes
	event    string
	ackID    uint64
	wantsAck bool // the client waits for an ack
	acked    atomic.Bool
}

// A smallTask inbound has space for a small event's name and arguments, to save
// another allocation.
type smallTask struct {
	task

	space [smallTaskSpace]byte
}

// smallTaskSpace makes an inbound as large as one of the allocator's sizes, 240 bytes.
const smallTaskSpace = 96

// newTask returns an inbound for a message of that size, and the space that it
// has for what is in it.
func newTask(size int) (*task, []byte) {
	if size > smallTaskSpace {
		return new(task), nil
	}
	small := new(smallTask)
	return &small.task, small.space[:0]
}

type taskKind uint8

const (
	taskEvent taskKind = iota
	taskConnect
	taskDisconnect
)

// init makes in a task for the socket's queue.
func (t *task) init(s *Socket, kind taskKind) {
	t.kind = kind
	t.ctx = Ctx{Socket: s, task: t}
}

// Context returns a context that ends when the socket is disconnected, with a
// [*DisconnectError] as its cause, or what [Ctx.WithContext] replaced it by. It
// has the values of the request that opened the connection.
func (c *Ctx) Context() context.Context {
	if c.ctx != nil {
		return c.ctx
	}
	return (*taskContext)(c.task)
}

// A taskContext is the socket's context, and tells which task it was given to: see
// taskOf. It is no copy, because every handler may ask for it.
type taskContext task

func (t *taskContext) socket() context.Context { return t.ctx.Socket.Context() }

// Deadline implements [context.Context].
func (t *taskContext) Deadline() (deadline time.Time, ok bool) { return t.socket().Deadline() }

// Done implements [context.Context].
func (t *taskContext) Done() <-chan struct{} { return t.socket().Done() }

// Err implements [context.Context].
func (t *taskContext) Err() error { return t.socket().Err() }

// Value implements [context.Context].
func (t *taskContext) Value(key any) any {
	if key == (taskKey{}) {
		return (*task)(t)
	}
	return t.socket().Value(key)
}

type taskKey struct{}

// taskOf returns the task whose handler ctx was given to, nil if it is not known.
func taskOf(ctx context.Context) *task {
	t, _ := ctx.Value(taskKey{}).(*task)
	return t
}

// yield is called by a task that is about to wait for others, and may be nil. If it
// keeps its client's next tasks waiting, or its connection from being read, these
// go on.
func (t *task) yield() {
	if t == nil {
		return
	}
	c := t.ctx.client
	if turn, passed := c.line.Pass(queuedTask{t}); passed {
		c.session.Yield(turn)
	}
}

// WithContext returns a copy of c whose context is ctx, to be handed on by
// middleware. ctx should be derived from c.Context().
func (c *Ctx) WithContext(ctx context.Context) *Ctx {
	d := *c
	d.ctx = ctx
	return &d
}

// WithArgs returns a copy of c with other arguments, to be handed on by
// middleware: one that decrypts them, for example.
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

// Event returns the name of the event, or "connect" while the client connects.
func (c *Ctx) Event() string { return c.task.event }

// Len returns the number of arguments.
func (c *Ctx) Len() int {
	if c.task.kind == taskConnect {
		return 1
	}
	return c.args.Len()
}

// Size returns how many bytes the event's name and arguments have, binary data
// included: about what the client had to send. While the client connects, it is the
// size of the auth payload.
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

// bindAuth is Bind for an auth payload, nil if there is none.
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
func (c *Ctx) WantsAck() bool { return c.task.wantsAck && !c.task.acked.Load() }

// Ack acknowledges the event with args. It may be called from anywhere, also
// after the handler has returned, but once: later calls return [ErrAckSent].
// If the client did not ask for an ack, it returns [ErrNoAck].
func (c *Ctx) Ack(args ...any) error {
	if !c.task.wantsAck {
		return ErrNoAck
	}
	if c.task.acked.Load() {
		return ErrAckSent
	}
	m, err := c.wire().ack(packet.Header{Namespace: c.ns.name, ID: c.task.ackID, HasID: true}, c.task.event, args)
	if err != nil {
		return err
	}
	if c.task.acked.Swap(true) {
		return ErrAckSent
	}
	return c.send(m)
}

// A queuedTask is an inbound packet in its socket's queue.
type queuedTask struct{ *task }

// taskOverhead is what a waiting packet costs beyond its payload.
const taskOverhead = 256

// Size implements [serial.Task]. It is about the memory that the packet keeps while it
// waits. The payload of a CONNECT, the first task of its socket, is the client's to
// count.
func (t queuedTask) Size() int { return taskOverhead + len(t.event) + t.ctx.args.Memory() }

// Run implements [serial.Task].
func (t queuedTask) Run() error {
	s := t.ctx.Socket
	switch t.kind {
	case taskConnect:
		if n := s.resolveNamespace(); n != nil {
			n.connect(&t.ctx)
		}
	case taskEvent:
		return s.ns.reportIfMeant(&t.ctx, t.endpoint.run(&t.ctx))
	case taskDisconnect:
		s.finish()
	}
	return nil
}

// Done implements [serial.Task].
func (t queuedTask) Done(err error) {
	if err == nil {
		return
	}
	s := t.ctx.Socket
	switch t.kind {
	case taskConnect:
		s.connectFailed(err)
	case taskEvent:
		s.ns.handlerFailed(&t.ctx, err)
	case taskDisconnect:
		s.logFailure("ending a socket failed", eventDisconnect, err)
	}
}
