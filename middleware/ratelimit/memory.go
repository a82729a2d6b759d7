package ratelimit

import (
	"context"
	"hash/maphash"
	"iter"
	"math/bits"
	"sync"
	"time"
)

const (
	defaultMaxKeys = 1 << 20

	// manyShards is how many locks share the work, from enoughKeys on.
	shardCount  = 64
	shardedFrom = 1 << 12

	// minLife is how long a bucket is kept at least, to have fewer generations
	// than there are short limits.
	minLifetime = 10 * time.Second
)

// Memory is a [Limiter] in this process. Of a bucket it keeps one number, the time
// at which it is full again, under a hash of its key.
//
// A bucket whose time has come is as good as a new one. So buckets are kept in two
// generations: when the younger one is older than any bucket takes to fill, it
// becomes the older one, and what was that is forgotten, at no cost for each key.
// That happens while the Memory is in use; one that nobody asks any more keeps what
// it has.
//
// If there are too many keys before it is time, half of them are forgotten, first
// those whose buckets lack the fewest tokens. So whoever makes up keys, to have a
// bucket forgotten that lacks many, has to take as many out of each of the others.
type Memory struct {
	seed         maphash.Seed
	start        time.Time
	maxShardKeys int // keys in a shard
	shards       []shard
}

// A shard has the buckets of some of the keys. A key is in one generation only.
type shard struct {
	mu       sync.Mutex
	young    map[uint64]time.Duration // when buckets are full again, since start
	old      map[uint64]time.Duration
	lifetime time.Duration // how long a bucket can take to fill
	renewed  time.Duration // when young began, since start
}

// NewMemory returns a Memory of no more than maxKeys buckets, about a million if
// it is 0.
func NewMemory(maxKeys int) *Memory {
	if maxKeys < 0 {
		misuse("NewMemory got a negative number of keys: use 0 for the default")
	}
	if maxKeys == 0 {
		maxKeys = defaultMaxKeys
	}
	n := 1
	if maxKeys >= shardedFrom {
		n = shardCount
	}
	return &Memory{seed: maphash.MakeSeed(), start: time.Now(), maxShardKeys: maxKeys / n, shards: make([]shard, n)}
}

// Take implements [Limiter]. It does not fail.
func (m *Memory) Take(_ context.Context, key string, r Rate, cost int, patience time.Duration) (Verdict, error) {
	hash := maphash.String(m.seed, key)
	s := &m.shards[hash%uint64(len(m.shards))]
	now := time.Since(m.start)
	verdict, aged := s.take(hash, now, r, cost, patience, m.maxShardKeys)
	if aged {
		m.age(now)
	}
	return verdict, nil
}

func (s *shard) take(
	hash uint64, now time.Duration, r Rate, cost int, patience time.Duration, maxKeys int,
) (verdict Verdict, aged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = max(s.lifetime, r.Time(r.Burst)+min(patience, forever), minLifetime)
	aged = s.ageLocked(now)
	before, known := s.young[hash]
	if !known {
		before = s.old[hash]
	}
	full, verdict := r.take(before, now, cost, patience)
	if full == before { // nothing taken
		return verdict, aged
	}
	if !known {
		delete(s.old, hash)
		if len(s.young)+len(s.old) >= maxKeys {
			s.evictLocked(now, maxKeys/2) //nolint:mnd // a half
		}
		s.beginYoungLocked(now)
	}
	s.young[hash] = full
	return verdict, aged
}

// begin sees to it that there is a young generation.
func (s *shard) beginYoungLocked(now time.Duration) {
	if s.young != nil {
		return
	}
	s.young = make(map[uint64]time.Duration)
	if s.old == nil {
		s.renewed = now
	}
}

// age begins a new generation if it is time, and reports whether it was.
func (s *shard) ageLocked(now time.Duration) bool {
	since := now - s.renewed
	if s.young == nil && s.old == nil || since < s.lifetime {
		return false
	}
	s.old, s.young, s.renewed = s.young, nil, now
	if since >= 2*s.lifetime {
		s.old = nil
	}
	return true
}

// age has the other shards forget, too, which may not be in use any more.
func (m *Memory) age(now time.Duration) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.ageLocked(now)
		s.mu.Unlock()
	}
}

// squeeze forgets all but n of the buckets, first those that are full soonest.
// How soon counts by powers of two, so that one look at each is enough.
func (s *shard) evictLocked(now time.Duration, n int) {
	var sizes [64 + 1]int // of a magnitude
	for _, full := range s.allLocked() {
		sizes[magnitude(full-now)]++
	}
	least := len(sizes) // what is above is kept as a whole, and of this, as many as fit
	room := n
	for least > 1 && sizes[least-1] <= room {
		least--
		room -= sizes[least]
	}
	least--
	kept := make(map[uint64]time.Duration, n)
	for hash, full := range s.allLocked() {
		switch size := magnitude(full - now); {
		case size > least:
			kept[hash] = full
		case size == least && size > 0 && room > 0:
			kept[hash] = full
			room--
		}
	}
	s.young, s.old, s.renewed = kept, nil, now
}

// magnitude is 0 for what is full already.
func magnitude(lacks time.Duration) int { return bits.Len64(uint64(max(lacks, 0))) }

func (s *shard) allLocked() iter.Seq2[uint64, time.Duration] {
	return func(yield func(uint64, time.Duration) bool) {
		for _, generation := range []map[uint64]time.Duration{s.young, s.old} {
			for hash, full := range generation {
				if !yield(hash, full) {
					return
				}
			}
		}
	}
}

// Len returns how many buckets are kept.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}
