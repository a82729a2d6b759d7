package forward

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// An outbox sends frames for goroutines that cannot wait for the broker, such as the one that
// receives. What is lost that way has time limits at the other server.
type outbox struct {
	wake chan struct{} // has an element if there may be something

	mu       sync.Mutex
	frames   []addressed
	confirms map[string][]uint64 // ids of requests whose answers have come, by server
	number   int                 // of confirms
}

type addressed struct {
	frame

	to string
}

const (
	// maxOutbox is how many frames, and how many confirmations, wait in the outbox. Beyond
	// that they are dropped.
	maxOutbox = 16 << 10

	// gatherTime is how long confirmations are gathered, since each need not be sent alone.
	gatherTime = 2 * time.Millisecond

	// maxConfirms is how many confirmations one frame has.
	maxConfirms = partSize / 8
)

func (o *outbox) init() { o.wake, o.confirms = make(chan struct{}, 1), make(map[string][]uint64) }

// poke wakes the goroutine that waits for a channel with room for one element.
func poke(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// add sends a frame soon.
func (o *outbox) add(to string, f frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.frames) < maxOutbox {
		o.frames = append(o.frames, addressed{f, to})
		poke(o.wake)
	}
}

// confirm tells a server soon that its answer has come.
func (o *outbox) confirm(to string, id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.number < maxOutbox {
		o.confirms[to] = append(o.confirms[to], id)
		o.number++
		poke(o.wake)
	}
}

// take returns all that is there as frames.
func (o *outbox) take() []addressed {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.frames
	for to, ids := range o.confirms {
		for len(ids) > 0 {
			n := min(len(ids), maxConfirms)
			var data []byte
			for _, id := range ids[:n] {
				data = binary.BigEndian.AppendUint64(data, id)
			}
			all = append(all, addressed{frame{kind: confirmFrame, data: data}, to})
			ids = ids[n:]
		}
	}
	o.frames, o.number = nil, 0
	clear(o.confirms)
	return all
}

// sendOutbox sends what the outbox has, until the router is closed.
func (r *Router) sendOutbox() {
	gathered := time.NewTimer(0)
	defer gathered.Stop()
	for closed := false; !closed; {
		select {
		case <-r.outbox.wake:
			gathered.Reset(gatherTime)
			select {
			case <-gathered.C:
			case <-r.sent:
			}
		case <-r.sent:
			closed = true
		}
		r.sendAll(r.outbox.take())
	}
}

func (r *Router) sendAll(frames []addressed) {
	ctx, cancel := context.WithTimeout(context.Background(), cluster.RelayTimeout)
	defer cancel()
	for _, a := range frames {
		if r.send(ctx, a.to, &a.frame) != nil && ctx.Err() != nil {
			return // the broker hangs
		}
	}
}

// send sends a frame to a server. It waits while too much waits for the broker.
func (r *Router) send(ctx context.Context, to string, f *frame) error {
	return r.members.Relay(ctx, to, f.sign(r.secret, r.members.ServerID(), to))
}
