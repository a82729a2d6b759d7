package forward

import (
	"errors"
	"io"
	"sync"
)

// A pipe is the body of a request that comes over the broker. One goroutine reads it.
type pipe struct {
	served *served
	wake   chan struct{} // has an element if something has come

	mu    sync.Mutex
	parts [][]byte
	come  uint32 // parts that have come
	read  uint32 // parts that were read to their end
	acked uint32 // of these, the other server knows
	last  bool   // the last one has come
	err   error  // it is closed
}

var errBody = errors.New("forward: a part of a body was lost, or there is no memory for it")

func newPipe(s *served) *pipe { return &pipe{served: s, wake: make(chan struct{}, 1)} }

// add takes a part. If one is missing, or there are more than may be, the body ends.
func (p *pipe) add(f *frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer poke(p.wake)
	switch {
	case p.err != nil || p.last:
		return
	case f.part != p.come || p.come-p.read >= window || !p.served.router.kept.reserve(len(f.data)):
		p.closeLocked(errBody)
		return
	}
	p.come++
	p.last = f.last
	p.parts = append(p.parts, f.data)
}

// close makes reads fail.
func (p *pipe) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked(err)
}

func (p *pipe) closeLocked(err error) {
	if p.err == nil {
		p.err = err
	}
	for _, part := range p.parts {
		p.served.router.kept.release(len(part))
	}
	p.parts = nil
	poke(p.wake)
}

// Read implements [io.Reader].
func (p *pipe) Read(b []byte) (int, error) {
	for {
		p.mu.Lock()
		n, ready, err := p.readLocked(b)
		p.mu.Unlock()
		if ready {
			return n, err
		}
		<-p.wake
	}
}

// readLocked reads what has come. ready is false if there is nothing yet.
func (p *pipe) readLocked(b []byte) (n int, ready bool, err error) {
	for len(p.parts) > 0 {
		n = copy(b, p.parts[0])
		p.served.router.kept.release(n)
		if p.parts[0] = p.parts[0][n:]; len(p.parts[0]) > 0 {
			return n, true, nil
		}
		p.parts = p.parts[1:]
		p.read++
		if p.read-p.acked >= window/2 && !p.last {
			p.acked = p.read
			p.served.router.outbox.add(p.served.from, frame{kind: requestAckFrame, id: p.served.id, part: p.read})
		}
		if n > 0 {
			return n, true, nil
		}
	}
	switch {
	case p.err != nil:
		return 0, true, p.err
	case p.last:
		return 0, true, io.EOF
	}
	return 0, len(b) == 0, nil
}
