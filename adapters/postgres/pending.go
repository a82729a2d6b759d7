package postgresadapter

import (
	"context"
	"sync"
)

// An item is a message of a channel, or the error of a message that could not be read.
type item struct {
	channel string
	data    []byte
	err     error
	size    int
}

// itemOverhead is about what a message takes besides its data.
const itemOverhead = 256

// A pending has the messages that have come and were not looked at yet. It bounds their bytes.
type pending struct {
	max  int
	wake chan struct{} // has an element if there may be messages

	mu    sync.Mutex
	list  []item
	bytes int // of all that was reserved and not released
}

func newPending(limit int) *pending { return &pending{max: limit, wake: make(chan struct{}, 1)} }

// reserve reports whether there is room for a message.
func (p *pending) reserve(size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes+size > p.max && p.bytes > 0 {
		return false
	}
	p.bytes += size
	return true
}

func (p *pending) release(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes -= size
}

// add adds messages, which have room.
func (p *pending) add(items []item) {
	p.mu.Lock()
	p.list = append(p.list, items...)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take waits for messages and returns all, nil when ctx ends.
func (p *pending) take(ctx context.Context) []item {
	for {
		p.mu.Lock()
		list := p.list
		p.list = nil
		p.mu.Unlock()
		if len(list) > 0 {
			return list
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
	}
}
