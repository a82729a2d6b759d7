package ratelimit

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// A Rate is how fast a bucket fills, and how much it holds.
type Rate struct {
	N     int           // tokens that come back
	Per   time.Duration // in this time
	Burst int           // tokens in a full bucket
}

// Time returns how long it takes for n tokens to come back.
func (r Rate) Time(n int) time.Duration {
	return time.Duration(float64(r.Per) * float64(n) / float64(r.N))
}

// A Verdict is what a [Limiter] says.
type Verdict struct {
	OK bool

	// Wait is when OK, how long to wait before going on; otherwise when to try
	// again, or [Never].
	Wait time.Duration
}

// Never is the Wait of what costs more than a full bucket has.
const Never time.Duration = -1

// A Limiter keeps buckets. It must be safe for concurrent use.
type Limiter interface {
	// Take takes cost tokens out of the bucket of that key. If there are not
	// enough, it either takes them before they have come back, if that is within
	// patience, or none.
	Take(ctx context.Context, key string, r Rate, cost int, patience time.Duration) (Verdict, error)
}

// Open returns a [Limiter] that allows everything, and Closed one that refuses
// everything, until later. They say what is to happen when another one cannot be
// asked.
func Open() Limiter { return constant{Verdict{OK: true}} }

// Closed refuses everything: see [Open].
func Closed() Limiter { return constant{Verdict{Wait: time.Second}} }

type constant struct{ verdict Verdict }

func (c constant) Take(context.Context, string, Rate, int, time.Duration) (Verdict, error) {
	return c.verdict, nil
}

const (
	defaultMaxKeys = 1 << 20

	// shards is how many locks share the work.
	shards = 16

	// minLife is how long a bucket is kept at least, to have fewer generations
	// than there are short limits.
	minLife = 10 * time.Second
)

// Memory is a [Limiter] in this process. Of a bucket it keeps one number, the time
// at which it is full again (the generic cell rate algorithm, which allows exactly
// what a bucket of tokens does), under a hash of its key: some 40 bytes a key.
//
// A bucket whose time has come is as good as a new one. So buckets are kept in two
// generations: when the younger one is older than any bucket takes to fill, it
// becomes the older one, and what was that is forgotten, at no cost for each key.
type Memory struct {
	seed  maphash.Seed
	start time.Time
	most  int // keys in a generation of a shard
	shard [shards]shard
}

type shard struct {
	mu      sync.Mutex
	young   map[uint64]time.Duration // when buckets are full again, since start
	old     map[uint64]time.Duration
	life    time.Duration // how long a bucket can take to fill
	renewed time.Duration // when young began, since start
}

// NewMemory returns a Memory of no more than maxKeys buckets, about a million if
// it is 0. When there are more, those that were not used for the longest time are
// forgotten, that is, full.
func NewMemory(maxKeys int) *Memory {
	if maxKeys < 0 {
		misuse("NewMemory got a negative number of keys: use 0 for the default")
	}
	if maxKeys == 0 {
		maxKeys = defaultMaxKeys
	}
	return &Memory{seed: maphash.MakeSeed(), start: time.Now(), most: max(1, maxKeys/shards/2)}
}

// Take implements [Limiter]. It does not fail.
func (m *Memory) Take(_ context.Context, key string, r Rate, cost int, patience time.Duration) (Verdict, error) {
	hash := maphash.String(m.seed, key)
	s := &m.shard[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Since(m.start)
	s.age(now, max(r.Time(r.Burst)+patience, minLife))
	full, known := s.young[hash]
	if !known {
		full = s.old[hash]
	}
	full, verdict := r.take(full, now, cost, patience)
	if !known && len(s.young) >= m.most {
		s.renew(now)
	}
	s.young[hash] = full
	return verdict, nil
}

// take returns when the bucket is full again after cost tokens were taken out, if
// they were.
func (r Rate) take(full, now time.Duration, cost int, patience time.Duration) (time.Duration, Verdict) {
	if cost > r.Burst {
		return full, Verdict{Wait: Never}
	}
	after := max(full, now) + r.Time(cost)
	wait := after - now - r.Time(r.Burst)
	if wait > patience {
		return full, Verdict{Wait: wait}
	}
	return after, Verdict{OK: true, Wait: max(wait, 0)}
}

// age renews the generations if it is time.
func (s *shard) age(now, life time.Duration) {
	s.life = max(s.life, life)
	switch since := now - s.renewed; {
	case s.young == nil, since >= 2*s.life:
		s.young, s.old, s.renewed = make(map[uint64]time.Duration), nil, now
	case since >= s.life:
		s.renew(now)
	}
}

func (s *shard) renew(now time.Duration) {
	s.old, s.young, s.renewed = s.young, make(map[uint64]time.Duration), now
}

// Len returns how many buckets are kept.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shard {
		s := &m.shard[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}
