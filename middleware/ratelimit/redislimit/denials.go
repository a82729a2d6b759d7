package redislimit

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/sioplug/sioplug/middleware/ratelimit"
)

const (
	// maxDenials bounds a generation of denials.
	maxDenials = 1 << 14

	// recheck is how long a denial is used. After that, Redis is asked again, in case
	// its keys were deleted.
	recheck = time.Second
)

// A denials remembers the requests that Redis has refused. Tokens come back with time
// only, so the same request is refused until then. If other servers take tokens, it takes
// even longer. Times are since the start of the limiter.
type denials struct {
	seed maphash.Seed

	mu         sync.Mutex
	young, old map[uint64]denial // by the hash of the key
}

type denial struct {
	rate   ratelimit.Rate
	cost   int
	at     time.Duration // when it would not have to wait
	counts time.Duration // until then
}

func newDenials() denials {
	return denials{seed: maphash.MakeSeed(), young: make(map[uint64]denial)}
}

// find returns how long a request would have to wait, if that is known to be too long.
func (d *denials) find(req request, now time.Duration) (wait time.Duration, denied bool) {
	hash := maphash.String(d.seed, req.key)
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.young[hash]
	if !ok {
		known, ok = d.old[hash]
	}
	wait = known.at - now + req.rate.Time(req.cost) - req.rate.Time(known.cost)
	return wait, ok && known.rate == req.rate && req.cost >= known.cost && wait > req.maxWait && now < known.counts
}

// add notes that a request was refused.
func (d *denials) add(req request, now, wait time.Duration) {
	hash := maphash.String(d.seed, req.key)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.young) >= maxDenials {
		d.old, d.young = d.young, make(map[uint64]denial)
	}
	d.young[hash] = denial{rate: req.rate, cost: req.cost, at: now + wait, counts: now + recheck}
}

// remove removes the denial of a key when Redis has allowed a request for it.
func (d *denials) remove(key string) {
	hash := maphash.String(d.seed, key)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.young, hash)
	delete(d.old, hash)
}
