package idempotency

import (
	"context"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

func withKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyOf{}, key)
}

// once runs f, or returns what it returned for an earlier event with the same key. If an
// earlier event is being handled, it waits for that. What fails may run again.
func once[Out any](s *Store, c *sio.Ctx, f func() (Out, error)) (out Out, err error) {
	key, ok := c.Context().Value(keyOf{}).(string)
	if !ok {
		return f()
	}
	for {
		r, first := s.begin(key)
		if first {
			return run(s, r, f)
		}
		select {
		case <-r.ended:
		case <-c.Context().Done():
			return out, context.Cause(c.Context())
		}
		if r.ok {
			out, _ = r.value.(Out) // it fails for the nil of an interface type, which is the zero Out
			return out, nil
		}
	}
}

// run calls f, and keeps its result. f may panic, or end its goroutine.
func run[Out any](s *Store, r *result, f func() (Out, error)) (out Out, err error) {
	succeeded := false
	defer func() { s.end(r, succeeded, out) }()
	out, err = f()
	succeeded = err == nil
	return out, err
}

// begin returns the result for a key. The caller that gets first has to call end.
func (s *Store) begin(key string) (r *result, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.dropLocked(func(r *result) bool { return !now.Before(r.expires) })
	if r := s.results[key]; r != nil {
		return r, false
	}
	s.dropLocked(func(*result) bool { return len(s.results) >= s.opts.MaxKeys })
	r = &result{key: key, ended: make(chan struct{})}
	s.results[key] = r
	return r, true
}

func (s *Store) end(r *result, ok bool, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ok = ok
	if ok {
		r.value, r.expires = value, time.Now().Add(s.opts.TTL)
		s.done.PushBack(r)
	} else {
		delete(s.results, r.key)
	}
	close(r.ended)
}

// dropLocked drops results, the oldest one first, while they are too old or too many.
// Events that are being handled are limited by the handlers of the server.
func (s *Store) dropLocked(drops func(r *result) bool) {
	for e := s.done.Front(); e != nil; e = s.done.Front() {
		r, _ := e.Value.(*result)
		if !drops(r) {
			return
		}
		s.done.Remove(e)
		delete(s.results, r.key)
	}
}

// Len returns how many keys are kept.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.results)
}
