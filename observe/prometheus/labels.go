package sioprometheus

import (
	"maps"
	"sync"
	"sync/atomic"
)

// labels are a bounded set of combinations of labels, with something for each of them. Get
// locks nothing and allocates nothing, but for those that are new.
type labels[K comparable, V any] struct {
	max int

	known atomic.Pointer[map[K]V] // never changes; replaced with mu held
	mu    sync.Mutex
}

// get returns what create has made for the key. If there are too many keys, it returns that
// of the key beyond, which is made even if the set is full.
func (l *labels[K, V]) get(key, beyond K, create func(K) V) V {
	if known := l.known.Load(); known != nil {
		if v, ok := (*known)[key]; ok {
			return v
		}
		if len(*known) >= l.max && key != beyond {
			if v, ok := (*known)[beyond]; ok {
				return v
			}
		}
	}
	return l.add(key, beyond, create)
}

func (l *labels[K, V]) add(key, beyond K, create func(K) V) V {
	l.mu.Lock()
	defer l.mu.Unlock()
	var known map[K]V
	if p := l.known.Load(); p != nil {
		known = *p
	}
	if len(known) >= l.max {
		key = beyond
	}
	if v, ok := known[key]; ok {
		return v
	}
	v := create(key)
	if known = maps.Clone(known); known == nil {
		known = map[K]V{}
	}
	known[key] = v
	l.known.Store(&known)
	return v
}
