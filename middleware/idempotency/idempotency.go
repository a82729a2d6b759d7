// Package idempotency makes handlers that act once for an event that a client sends more
// than once.
//
// A client that sends an event again, because no acknowledgement came in time, cannot know
// whether the server got it before. It puts the same key into both:
//
//	socket.emit("pay", order, { idempotencyKey: id }); // as the last argument
//
// The Go client does that with Options.IdempotencyKeys. On the server:
//
//	once := idempotency.New(nil)
//	srv.On("pay", idempotency.Reply(once, pay))
//
// The first event with a key runs the function. Later ones get its result again. An event
// without a key runs the function each time.
package idempotency

import (
	"cmp"
	"container/list"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// Options are the settings of a [Store]. A zero value means the default.
type Options struct {
	// TTL is how long a result is kept after the function has returned, 10 minutes by
	// default. It has to be longer than clients go on sending.
	TTL time.Duration

	// MaxKeys is how many keys are kept, 100,000 by default. Beyond it, the oldest result
	// is dropped. Clients choose the keys, so put a rate limit in front of handlers that
	// matter.
	MaxKeys int

	// Owner, if set, returns whose key it is: the user of the socket, for example. Keys of
	// different owners are different. By default all clients share the keys, so they must
	// be impossible to guess, as those of the Go client are.
	Owner func(c *sio.Ctx) string
}

const (
	defaultTTL     = 10 * time.Minute
	defaultMaxKeys = 100_000

	// maxKey is how many bytes a key may have.
	maxKey = 128
)

// A Store has the results of events that came. It is in the memory of this process. It is
// safe for concurrent use.
type Store struct {
	opts Options

	mu      sync.Mutex
	results map[string]*result
	done    *list.List // of results that are complete, the oldest one first
}

// A result is that of one event.
type result struct {
	key     string
	ended   chan struct{} // closed when the function has returned
	ok      bool          // it has succeeded; else the result is not kept
	value   any
	expires time.Time
}

// New returns an empty store.
func New(o *Options) *Store {
	s := &Store{results: make(map[string]*result), done: list.New()}
	if o != nil {
		s.opts = *o
	}
	if s.opts.TTL < 0 || s.opts.MaxKeys < 0 {
		misuse.Panic("idempotency: an option is negative: leave it 0 for the default")
	}
	s.opts.TTL = cmp.Or(s.opts.TTL, defaultTTL)
	s.opts.MaxKeys = cmp.Or(s.opts.MaxKeys, defaultMaxKeys)
	return s
}

// Bind is sio.Bind with a function that runs once for each key.
func Bind[In any](s *Store, f func(c *sio.Ctx, in In) error) sio.Handler {
	if f == nil {
		misuse.Panic("idempotency: Bind got a nil function")
	}
	return s.wrap(sio.Bind(func(c *sio.Ctx, in In) error {
		_, err := once(s, c, func() (struct{}, error) { return struct{}{}, f(c, in) })
		return err
	}))
}

// Reply is sio.Reply with a function that runs once for each key. Later events with the
// key are acknowledged with the same value, which must not change.
func Reply[In, Out any](s *Store, f func(c *sio.Ctx, in In) (Out, error)) sio.Handler {
	if f == nil {
		misuse.Panic("idempotency: Reply got a nil function")
	}
	return s.wrap(sio.Reply(func(c *sio.Ctx, in In) (Out, error) {
		return once(s, c, func() (Out, error) { return f(c, in) })
	}))
}

// keyOf carries the key of an event to its function.
type keyOf struct{}

// wrap finds the key of an event. If the key is its only argument, the function gets none.
func (s *Store) wrap(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		key, found, err := lastKey(c)
		switch {
		case err != nil:
			return err
		case !found:
			return next(c)
		}
		if c.Len() == 1 {
			if c, err = c.WithArgs(); err != nil {
				return err
			}
		}
		owner := ""
		if s.opts.Owner != nil {
			owner = s.opts.Owner(c)
		}
		full := fmt.Sprintf("%q %q %q %q", c.Namespace().Name(), c.Event(), owner, key)
		return next(c.WithContext(withKey(c.Context(), full)))
	}
}

// lastKey returns the key in the last argument.
func lastKey(c *sio.Ctx) (key string, found bool, err error) {
	n := c.Len()
	if n == 0 {
		return "", false, nil
	}
	var raw json.RawMessage
	dst := make([]any, n)
	dst[n-1] = &raw
	if err := c.Args().Bind(dst...); err != nil {
		return "", false, err
	}
	var members map[string]json.RawMessage
	if len(raw) > 0 && raw[0] == '{' {
		_ = json.Unmarshal(raw, &members) // it is valid
	}
	if len(members) != 1 || members["idempotencyKey"] == nil {
		return "", false, nil
	}
	if err := json.Unmarshal(members["idempotencyKey"], &key); err != nil || key == "" || len(key) > maxKey {
		return "", false, &sio.Error{Message: "invalid idempotency key", Err: err}
	}
	return key, true, nil
}
