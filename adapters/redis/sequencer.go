package redisadapter

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

const (
	// maxHeld and maxHeldBytes bound what is held back of one server.
	maxHeld      = 1000
	maxHeldBytes = 4 << 20

	maxSenders = 1000 // from which on servers that are silent are forgotten
	maxLast    = 1000 // from which on channels of a server that are silent are forgotten
	pruneTime  = time.Second

	maxAge   = uint64(orderTime / time.Millisecond)
	idleTime = time.Minute
)

// A sequencer passes packets on in the order in which each server has sent them, if they
// arrive over several connections. It holds a packet back until those before it have
// arrived, but not for long: they may be lost.
type sequencer struct {
	receive func(p *cluster.Packet)

	// since says since when this server is subscribed to a channel.
	since func(channel uint32) (at time.Time, ok bool)

	mu      sync.Mutex
	senders map[string]*senderOrder
	closed  bool

	held    atomic.Int64                        // packets that are held back
	streams map[uint32]*atomic.Pointer[entryID] // how far streams were read, by the hash of their keys
}

// A senderOrder is what a sequencer knows of one server.
type senderOrder struct {
	mu     sync.Mutex
	last   map[uint32]use // the last packets, by channel
	held   []heldPacket   // in the order of their arrival
	bytes  int
	timer  *time.Timer
	seen   time.Time
	pruned time.Time // when last was, the last time
	closed bool
}

type heldPacket struct {
	packet  *cluster.Packet
	channel uint32
	mark    mark
	stream  uint32 // the stream of mark.stream
	at      time.Time
	size    int
}

func newSequencer(receive func(*cluster.Packet), since func(uint32) (time.Time, bool), streams ...string) *sequencer {
	s := &sequencer{
		receive: receive, since: since, senders: make(map[string]*senderOrder),
		streams: make(map[uint32]*atomic.Pointer[entryID]),
	}
	for _, key := range streams {
		s.streams[hashOf(key)] = new(atomic.Pointer[entryID])
	}
	return s
}

// arrive takes a packet that has arrived over a channel, or a stream. stream is the hash of
// the key of its namespace's stream.
func (s *sequencer) arrive(p *cluster.Packet, channel uint32, m mark, stream uint32, size int) {
	if !cluster.IsOurs(p.From) {
		s.receive(p)
		return
	}
	o := s.sender(p.From)
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	h := heldPacket{p, channel, m, stream, time.Now(), size}
	o.seen = h.at
	if len(o.held) == 0 && s.isNext(o, &h) {
		s.deliver(o, &h)
		return
	}
	o.held = append(o.held, h)
	o.bytes += size
	s.held.Add(1)
	s.releaseLocked(o)
}

// sender returns what is known of a server, nil after close.
func (s *sequencer) sender(id string) *senderOrder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	o := s.senders[id]
	if o == nil {
		if len(s.senders) >= maxSenders {
			maps.DeleteFunc(s.senders, func(_ string, o *senderOrder) bool { return o.isIdle() })
		}
		o = &senderOrder{last: make(map[uint32]use), seen: time.Now()}
		s.senders[id] = o
	}
	return o
}

func (o *senderOrder) isIdle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.held) == 0 && time.Since(o.seen) > idleTime
}

// isNext reports whether everything before a packet has been passed on.
func (s *sequencer) isNext(o *senderOrder, h *heldPacket) bool {
	if time.Since(h.at) >= holdTime {
		return !o.holdsBefore(h)
	}
	if h.mark.stream != (entryID{}) {
		if at := s.streams[h.stream]; at != nil {
			if pos := at.Load(); pos == nil || pos.Compare(h.mark.stream) < 0 {
				return false
			}
		}
	}
	for _, u := range h.mark.before {
		if o.last[u.channel].seq >= u.seq {
			continue
		}
		// What was sent before this server was subscribed does not come.
		sent := h.at.Add(-time.Duration(min(u.age, maxAge)) * time.Millisecond)
		if at, ok := s.since(u.channel); ok && at.Before(sent) {
			return false
		}
	}
	return true
}

// holdsBefore reports whether a packet before h has arrived, and is held back itself. It
// will not be for long.
func (o *senderOrder) holdsBefore(h *heldPacket) bool {
	for _, u := range h.mark.before {
		for i := range o.held {
			x := &o.held[i]
			if x.channel == u.channel && x.mark.seq > 0 && x.mark.seq <= u.seq && x.mark.seq < h.mark.seq {
				return true
			}
		}
	}
	return false
}

// deliver passes a packet on.
func (s *sequencer) deliver(o *senderOrder, h *heldPacket) {
	if len(o.last) >= maxLast && h.at.Sub(o.pruned) > pruneTime {
		o.pruned = h.at
		maps.DeleteFunc(o.last, func(_ uint32, u use) bool { return h.at.Sub(u.at) > orderTime+holdTime })
	}
	for _, u := range h.mark.before { // is not waited for again
		if o.last[u.channel].seq < u.seq {
			o.last[u.channel] = use{seq: u.seq, at: h.at}
		}
	}
	if h.mark.seq > 0 {
		o.last[h.channel] = use{seq: h.mark.seq, at: h.at}
	}
	s.receive(h.packet)
}

// releaseLocked passes on the packets that are next. Packets of one channel do not overtake
// each other.
func (s *sequencer) releaseLocked(o *senderOrder) {
	for again := true; again && !o.closed; {
		again = false
		var blocked []uint32
		for i := range o.held {
			h := o.held[i]
			full := i == 0 && (len(o.held) > maxHeld || o.bytes > maxHeldBytes)
			if slices.Contains(blocked, h.channel) || !full && !s.isNext(o, &h) {
				blocked = append(blocked, h.channel)
				continue
			}
			o.held = slices.Delete(o.held, i, i+1)
			o.bytes -= h.size
			s.held.Add(-1)
			s.deliver(o, &h)
			again = true
			break
		}
	}
	if len(o.held) == 0 {
		return
	}
	wait := holdTime
	for i := range o.held {
		if left := time.Until(o.held[i].at.Add(holdTime)); left > 0 { // otherwise it waits for another one
			wait = min(wait, left)
		}
	}
	if o.timer == nil {
		o.timer = time.AfterFunc(wait, func() { s.expire(o) })
	} else {
		o.timer.Reset(wait)
	}
}

func (s *sequencer) expire(o *senderOrder) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.releaseLocked(o)
}

// advance notes how far a stream was read. It is called after the entry has arrived.
func (s *sequencer) advance(stream uint32, id entryID) {
	s.streams[stream].Store(&id)
	if s.held.Load() == 0 {
		return
	}
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.senders))
	s.mu.Unlock()
	for _, o := range all {
		s.expire(o)
	}
}

// close drops what is held back. Afterwards, nothing is passed on.
func (s *sequencer) close() {
	s.mu.Lock()
	s.closed = true
	all := slices.Collect(maps.Values(s.senders))
	s.mu.Unlock()
	for _, o := range all {
		o.mu.Lock()
		o.closed, o.held = true, nil
		if o.timer != nil {
			o.timer.Stop()
		}
		o.mu.Unlock()
	}
}
