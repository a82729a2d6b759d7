package ratelimit

import (
	"context"
	"hash/maphash"
	"iter"
	"math/bits"
	"sync"
	"time"

	"github.com/sioplug/sioplug/internal/misuse"
)

const (
	defaultMaxKeys = 1 << 20

	// shardCount is the number of shards, each with a lock, from shardedFrom keys on.
	shardCount  = 64
	shardedFrom = 1 << 12

	// minLifetime is how long a bucket is kept at least, so that short limits do not
	// begin a generation all the time.
	minLifetime = 10 * time.Second
)

// Memory is a [Limiter] in this process. For each bucket it keeps one number, the time at
// which the bucket is full again, under a hash of its key.
//
// A full bucket does not have to be kept. So there are two generations of buckets. When
// the young generation is older than the time that any bucket takes to fill, it becomes
// the old one, and the old one is dropped as a whole. This happens in calls of Take: a
// Memory that is not used any more keeps its buckets.
//
// If there are too many keys before that, half of them are evicted. The buckets that lack
// the fewest tokens go first. So a client that makes up keys, to get a nearly empty bucket
// evicted, has to take as many tokens out of each of the others.
type Memory struct {
	seed         maphash.Seed
	start        time.Time
	maxShardKeys int // most keys in one shard
	shards       []shard
}

// A shard has the buckets of a part of the keys. A key is in one generation only.
type shard struct {
	mu       sync.Mutex
	young    map[uint64]time.Duration // when buckets are full again, since start
	old      map[uint64]time.Duration
	lifetime time.Duration // how long a bucket can take to fill
	renewed  time.Duration // when young began, since start
}

// NewMemory returns a Memory with at most maxKeys buckets. 0 means about a million.
func NewMemory(maxKeys int) *Memory {
	if maxKeys < 0 {
		misuse.Panic("ratelimit: NewMemory got a negative number of keys: use 0 for the default")
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
func (m *Memory) Take(_ context.Context, key string, r Rate, cost int, maxWait time.Duration) (Verdict, error) {
	hash := maphash.String(m.seed, key)
	s := &m.shards[hash%uint64(len(m.shards))]
	now := time.Since(m.start)
	verdict, aged := s.take(hash, now, r, cost, maxWait, m.maxShardKeys)
	if aged {
		m.age(now)
	}
	return verdict, nil
}

func (s *shard) take(
	hash uint64, now time.Duration, r Rate, cost int, maxWait time.Duration, maxKeys int,
) (verdict Verdict, aged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = max(s.lifetime, r.Time(r.Burst)+min(maxWait, forever), minLifetime)
	aged = s.ageLocked(now)
	before, known := s.young[hash]
	if !known {
		before = s.old[hash]
	}
	full, verdict := r.take(before, now, cost, maxWait)
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

// beginYoungLocked makes a young generation if there is none.
func (s *shard) beginYoungLocked(now time.Duration) {
	if s.young != nil {
		return
	}
	s.young = make(map[uint64]time.Duration)
	if s.old == nil {
		s.renewed = now
	}
}

// ageLocked begins a new generation if it is time for that, and reports whether it did.
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

// age ages all shards. Some of them may not be in use any more.
func (m *Memory) age(now time.Duration) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.ageLocked(now)
		s.mu.Unlock()
	}
}

// evictLocked evicts all but n of the buckets. Those that are full soonest go first. The
// time until then is compared by its power of two, so that no list has to be sorted: in
// a flood of made-up keys, sorting makes each call three times slower (3 instead of
// 0.9 µs in BenchmarkMemory), and the lock of the shard is held meanwhile.
func (s *shard) evictLocked(now time.Duration, n int) {
	var sizes [64 + 1]int // number of buckets of each magnitude
	for _, full := range s.allLocked() {
		sizes[magnitude(full-now)]++
	}
	least := len(sizes) // all of a larger magnitude are kept, and as many of this one as there is room for
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

// magnitude returns the power of two, and 0 for a full bucket.
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
