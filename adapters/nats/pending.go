package natsadapter

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
)

// maxMessages is how many messages wait until they are counted. nats.go drops what does not
// fit.
const maxMessages = 8192

// A pending has the messages that have come and were not looked at yet. It bounds their
// bytes, which a channel does not.
type pending struct {
	max   int
	first func(m *nats.Msg) bool // takes messages that do not wait; nil if there are none

	msgs chan *nats.Msg // from nats.go
	wake chan struct{}  // has an element if there may be messages

	mu      sync.Mutex
	list    []*nats.Msg
	bytes   int // of list, and of those that were taken last
	dropped bool
}

func newPending(limit int) *pending {
	return &pending{max: limit, msgs: make(chan *nats.Msg, maxMessages), wake: make(chan struct{}, 1)}
}

// messageOverhead is about what a message takes besides its data.
const messageOverhead = 256

// collect keeps the channel empty.
func (p *pending) collect(ctx context.Context) {
	for {
		select {
		case m := <-p.msgs:
			full := len(p.msgs) >= maxMessages-1
			if p.first != nil && p.first(m) {
				p.note(full)
				continue
			}
			p.add(m, full)
		case <-ctx.Done():
			return
		}
	}
}

// add adds a message. full says that the channel was full: nats.go may have dropped some.
func (p *pending) add(m *nats.Msg, full bool) {
	size := len(m.Data) + messageOverhead
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped = p.dropped || full
	if p.bytes+size > p.max && p.bytes > 0 {
		p.dropped = true
		return
	}
	p.list = append(p.list, m)
	p.bytes += size
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// note notes that nats.go may have dropped messages.
func (p *pending) note(full bool) {
	if full {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dropped = true
	}
}

// grab returns all messages that wait. The ones before are done.
func (p *pending) grab(done int) (list []*nats.Msg, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes -= done
	list, bytes = p.list, p.bytes
	p.list = nil
	return list, bytes
}

// take waits for messages and returns all, nil when ctx ends. The ones before are done.
func (p *pending) take(ctx context.Context, done int) (list []*nats.Msg, bytes int) {
	for {
		list, bytes = p.grab(done)
		if len(list) > 0 {
			return list, bytes
		}
		done = 0
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil, 0
		}
	}
}

// hasDropped reports whether messages were dropped since the last call.
func (p *pending) hasDropped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.dropped
	p.dropped = false
	return d
}
