package sioclient

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
)

// A retried is an event that is sent until the server acknowledges it (CLI-EM-9). It
// implements [ackWaiter] for the try that is on its way.
type retried struct {
	s       *Socket
	out     *outgoing // the same for each try, so that a late acknowledgement counts
	tries   int
	pending bool // a try is on its way
	over    bool // it was acknowledged or given up, or its caller does not wait any more
	givenUp bool
	timer   *time.Timer
	ack     *pendingAck // nil if nobody waits
}

// An IdempotencyKey is the last argument of events with Options.IdempotencyKeys. It is the
// same each time that an event is sent again, and differs between events.
type IdempotencyKey struct {
	Key string `json:"idempotencyKey"`
}

// A keySource makes idempotency keys.
type keySource struct {
	prefix string
	n      uint64
}

// keyBytes is the number of random bytes of a prefix.
const keyBytes = 16

func (k *keySource) next() string {
	if k.prefix == "" {
		var random [keyBytes]byte
		_, _ = rand.Read(random[:]) // it never fails
		k.prefix = base64.RawURLEncoding.EncodeToString(random[:])
	}
	k.n++
	return k.prefix + "-" + strconv.FormatUint(k.n, 10)
}

// emitRetried adds an event to those that are sent one after the other.
func (s *Socket) emitRetried(event string, args []any, ack *pendingAck) error {
	m := s.m
	if m.opts.IdempotencyKeys {
		m.mu.Lock()
		key := s.keys.next()
		m.mu.Unlock()
		args = append(slices.Clip(args), IdempotencyKey{key})
	}
	c, err := m.wire.content(event, args)
	if err != nil {
		return err
	}
	r := &retried{s: s, ack: ack}
	id := s.newAckID()
	// The frames have no memory that is used again after the first write.
	frames, err := m.wire.frames(frame.Shared(), packet.Event, packet.Header{Namespace: s.ns, ID: id, HasID: true}, c)
	if err != nil {
		return err
	}
	r.out = &outgoing{frames: frames, size: memory(frames) + taskOverhead, id: id, ack: r}
	if len(s.on.outgoingFuncs()) > 0 {
		r.out.seen = s.seeContent(event, c)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.bufSize > 0 && s.bufSize+r.out.size > m.opts.MaxSendBuffer {
		return ErrBufferFull
	}
	if ack != nil {
		ack.retry = r
	}
	s.bufSize += r.out.size
	s.retries = append(s.retries, r)
	s.retryLocked()
	return nil
}

// retryLocked sends the first event, if it is not on its way.
func (s *Socket) retryLocked() {
	if !s.connected || len(s.retries) == 0 || s.retries[0].pending {
		return
	}
	r := s.retries[0]
	r.pending = true
	r.tries++
	if !s.sendLocked(r.out) {
		return // the connection has ended, which fails the try
	}
	try := r.tries
	r.timer = time.AfterFunc(s.m.opts.AckTimeout, func() {
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		if r.pending && r.tries == try && s.takeAckLocked(r.out.id) != nil {
			r.settleLocked(packet.Args{}, ErrAckTimeout)
		}
	})
}

// settleLocked implements [ackWaiter]: the try has ended.
func (r *retried) settleLocked(values packet.Args, err error) {
	r.pending = false
	if r.timer != nil {
		r.timer.Stop()
	}
	s := r.s
	if err == nil || r.tries > s.m.opts.Retries {
		s.finishRetriedLocked(r, values, err)
		return
	}
	s.retryLocked()
}

// finishRetriedLocked takes an event out, and goes on with the next one.
func (s *Socket) finishRetriedLocked(r *retried, values packet.Args, err error) {
	i := slices.Index(s.retries, r)
	if i < 0 {
		return
	}
	s.retries = slices.Delete(s.retries, i, i+1)
	s.bufSize -= r.out.size
	r.over, r.givenUp = true, err != nil
	s.m.tellShutdownLocked()
	if r.ack != nil {
		r.ack.settleLocked(values, err)
	} else if err != nil {
		s.dropped++
	}
	s.retryLocked()
}

// dropRetriedLocked takes an event out whose caller does not wait any more.
func (s *Socket) dropRetriedLocked(r *retried) {
	if r.pending {
		s.takeAckLocked(r.out.id)
		if r.timer != nil {
			r.timer.Stop()
		}
		r.pending = false
	}
	r.ack = nil
	i := slices.Index(s.retries, r)
	if i < 0 {
		return
	}
	s.retries = slices.Delete(s.retries, i, i+1)
	s.bufSize -= r.out.size
	r.over = true
	s.m.tellShutdownLocked()
	s.retryLocked()
}
