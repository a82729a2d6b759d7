// Package labels keeps what belongs to labels of metrics and names of spans. Their number
// is bounded, whatever the application or its clients call their events.
package labels

import (
	"iter"
	"maps"
	"sync"
	"sync/atomic"
)

// A Set is a bounded set of combinations of labels, with something for each of them. The
// zero value has room for none but the key beyond.
type Set[K comparable, V any] struct {
	Max int // set it before the first call

	known atomic.Pointer[map[K]V] // never changes; replaced with mu held
	mu    sync.Mutex
}

// Get returns what create has made for the key. If there are too many keys, it returns that
// of the key beyond, which is made even if the set is full. For keys that are known, it
// locks nothing and allocates nothing.
func (s *Set[K, V]) Get(key, beyond K, create func(K) V) V {
	if v, ok := s.find(key, beyond); ok {
		return v
	}
	return s.add(key, beyond, create)
}

// GetCopy is Get for keys whose memory is not their caller's to keep: clone copies a key.
func (s *Set[K, V]) GetCopy(key, beyond K, clone func(K) K, create func(K) V) V {
	if v, ok := s.find(key, beyond); ok {
		return v
	}
	return s.add(clone(key), beyond, create)
}

// Find returns what there is for the key, and whether there is anything.
func (s *Set[K, V]) Find(key K) (v V, ok bool) {
	if known := s.known.Load(); known != nil {
		v, ok = (*known)[key]
	}
	return v, ok
}

// All returns what there is for all keys, in any order.
func (s *Set[K, V]) All() iter.Seq[V] {
	known := s.known.Load()
	if known == nil {
		return func(func(V) bool) {}
	}
	return maps.Values(*known)
}

func (s *Set[K, V]) find(key, beyond K) (v V, ok bool) {
	if v, ok = s.Find(key); ok {
		return v, true
	}
	if known := s.known.Load(); known != nil && len(*known) >= s.Max {
		v, ok = (*known)[beyond]
	}
	return v, ok
}

func (s *Set[K, V]) add(key, beyond K, create func(K) V) V {
	s.mu.Lock()
	defer s.mu.Unlock()
	var known map[K]V
	if p := s.known.Load(); p != nil {
		known = *p
	}
	if v, ok := known[key]; ok {
		return v
	}
	if len(known) >= s.Max {
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
	s.known.Store(&known)
	return v
}
