package sio

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

// Which goroutine runs a handler:
//
//	WebSocket: the read loop               polling: the goroutine of a POST's payload
//	   |                                      |
//	client.Message                         client.Message         decodes a message
//	   |  queueEvent, connect                 |                   queues a task, and adds its turn to the line
//	   |                                      |
//	   after each read                        after each POST, on a new goroutine
//	   |                                      |
//	client.Work                            client.Work
//	   |                                      |
//	serial.Line.Work                       returns at once if another goroutine runs the client's tasks
//	   |
//	serial.Queue, of one socket            its tasks run one at a time
//	   |
//	queuedTask.Run ----------------------- taskConnect:    Namespace.connect
//	   |                                   taskEvent:      endpoint.run, the middleware and the handler
//	   |                                   taskDisconnect: Socket.finish
//	queuedTask.Done                        reports an error, a panic, or that the goroutine has ended
//
// Other goroutines run tasks in three cases:
//   - A task takes longer than a tenth of a second, or waits for the client
//     ([task.yield]). Then the line starts another goroutine for the other sockets.
//   - [Socket.end] starts one for the last task. So its caller does not wait for handlers.
//   - The read loop waits because a queue is full ([source.Hold]).

// A task is a packet on its way to a handler, or the start or the end of a socket. All
// copies of a Ctx share it.
type task struct {
	ctx      Ctx       // the first copy, to save an allocation
	endpoint *endpoint // the middleware and the handler of the packet
	event    string
	ackID    uint64
	flags    atomic.Uint32
	kind     taskKind
	wantsAck bool // the client asked for an ack
}

// Flags of a task.
const (
	flagAcked   = 1 << iota // the ack was sent
	flagRefused             // a guard has refused the event
)

// is reports whether a flag is set.
func (t *task) is(flag uint32) bool { return t.flags.Load()&flag != 0 }

// set sets a flag and reports whether it was not set before.
func (t *task) set(flag uint32) bool { return t.flags.Or(flag)&flag == 0 }

type taskKind uint8

const (
	taskEvent taskKind = iota
	taskConnect
	taskDisconnect
)

// A smallTask has space for the name and the arguments of a small event, to save
// another allocation.
type smallTask struct {
	task

	space [smallTaskSpace]byte
}

// smallTaskSpace makes a smallTask 176 bytes large, which is one of the allocator's
// sizes. A task has 128. An event with one attachment fits, without other arguments.
// Strings of larger events need not be copied: see packet.Args.
const smallTaskSpace = 48

// newTask returns a task for a message of that size, and its space for the content.
func newTask(size int) (*task, []byte) {
	if size > smallTaskSpace {
		return new(task), nil
	}
	small := new(smallTask)
	return &small.task, small.space[:0]
}

// init makes t a task of the socket.
func (t *task) init(s *Socket, kind taskKind) {
	t.kind = kind
	t.ctx = Ctx{Socket: s, task: t}
}

// queueEvent queues an event for its handler. It runs on the read loop. If the queue is
// full, it waits, and the client is not read meanwhile.
func (s *Socket) queueEvent(p packet.Packet, t *task) {
	t.init(s, taskEvent)
	t.ctx.args, t.wantsAck, t.ackID = p.Args, p.HasID, p.ID
	t.event, t.endpoint = s.ns.endpointFor(&p)
	// An error means that the socket has ended meanwhile.
	_, err := s.queue.PushWait(queuedTask{t}, s.ns.server.opts.pending(), (*source)(s))
	switch line := &s.client.line; {
	case err != nil:
	case t.endpoint.pace.isQuick():
		line.AddQuick(&s.queue)
	default:
		line.Add(&s.queue)
	}
}

// endpointFor returns the name and the endpoint of an event. The name of a known event
// is not copied.
func (n *Namespace) endpointFor(p *packet.Packet) (string, *endpoint) {
	r := n.routes.Load()
	if e := r.events[string(p.Name)]; e != nil {
		return e.name, e
	}
	return p.EventName(), r.unknown
}

// A queuedTask is a task in its socket's queue. It implements [serial.Task].
type queuedTask struct{ *task }

// taskOverhead is the memory of a waiting task in bytes, without its payload.
const taskOverhead = 256

// Size implements [serial.Task]. It is about the memory that the task keeps while it
// waits. The payload of a CONNECT is not part of it: see [client.addSocket].
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
		return t.runEvent()
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

// yield is called before a task waits. Its client's other tasks, and the reading of its
// connection, then go on without it. t may be nil.
func (t *task) yield() {
	if t == nil {
		return
	}
	c := t.ctx.client
	if turn, passed := c.line.Pass(queuedTask{t}); passed {
		c.session.Yield(turn)
	}
}

// A taskContext is the socket's context, from which [taskOf] finds the task. It has the
// memory of the task, because every handler may ask for it.
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

// taskOf returns the task whose handler got ctx, or a context that ctx is derived from.
// It returns nil if there is none.
func taskOf(ctx context.Context) *task {
	t, _ := ctx.Value(taskKey{}).(*task)
	return t
}
