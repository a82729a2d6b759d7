package sio

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

// queueEvent queues an event for its handler, on the read loop. If handlers cannot
// keep up it waits, and with it the client: nothing is lost.
func (s *Socket) queueEvent(p packet.Packet, t *task) {
	t.init(s, taskEvent)
	t.ctx.args, t.wantsAck, t.ackID = p.Args, p.HasID, p.ID
	t.event, t.endpoint = s.ns.endpointFor(&p)
	// An error means that the socket has ended meanwhile.
	if _, err := s.queue.PushWait(queuedTask{t}, s.ns.server.opts.pending(), (*source)(s)); err == nil {
		s.client.line.Add(&s.queue)
	}
}

// endpointFor finds the way of an event to its handler, and its name without a copy if
// it is a known one.
func (n *Namespace) endpointFor(p *packet.Packet) (string, *endpoint) {
	r := n.routes.Load()
	if e := r.events[string(p.Name)]; e != nil {
		return e.name, e
	}
	return p.EventName(), r.unknown
}

// Work implements [engine.Worker]: it handles packets.
func (c *client) Work(turn uint32) { c.line.Work(turn) }

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

const (
	taskEvent taskKind = iota
	taskConnect
	taskDisconnect
)

type taskKind uint8

// init makes in a task for the socket's queue.
func (t *task) init(s *Socket, kind taskKind) {
	t.kind = kind
	t.ctx = Ctx{Socket: s, task: t}
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

// taskOf returns the task whose handler ctx was given to, nil if it is not known.
func taskOf(ctx context.Context) *task {
	t, _ := ctx.Value(taskKey{}).(*task)
	return t
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
