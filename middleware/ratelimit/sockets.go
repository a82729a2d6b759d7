package ratelimit

import (
	"context"
	"sync"

	sio "github.com/sioplug/sioplug/core"
)

// MaxPerIP is for [sio.Namespace.UseConnect]: it allows the clients of each
// address together n sockets at the same time. A client whose connection has just
// broken still counts until the server has noticed, so leave room for that. Of the
// options, IPv6Prefix, Name, Observe and Logger apply.
func MaxPerIP(n int, opts ...Option) sio.Middleware {
	return newMost("sockets per ip", n, opts, func(s *sio.Socket, o *options) string {
		return o.address(s.Address())
	})
}

// MaxPerUser is like [MaxPerIP] for each user, as [PerUser] is like [PerIP]. It has
// to come after the middleware that finds out who the user is.
func MaxPerUser(user func(s *sio.Socket) string, n int, opts ...Option) sio.Middleware {
	if user == nil {
		misuse("MaxPerUser needs a function that tells the user, such as auth.Subject")
	}
	return newMost("sockets per user", n, opts, func(s *sio.Socket, o *options) string {
		return o.userOrAddress(user, s)
	})
}

// A most counts the sockets of each key.
type most struct {
	guard

	n    int
	key  func(*sio.Socket, *options) string
	held *sio.Key[*place]

	mu     sync.Mutex
	counts map[string]int
}

// A place is one of those that a key has, taken by a socket.
type place struct {
	key  string
	left bool // guarded by most.mu
}

func newMost(name string, n int, opts []Option, key func(*sio.Socket, *options) string) sio.Middleware {
	if n <= 0 {
		misuse("a limit of no sockets lets nobody in: use a number above 0")
	}
	m := &most{
		guard: newGuard(name, opts), n: n, key: key,
		held: sio.NewKey[*place]("ratelimit place"), counts: make(map[string]int),
	}
	return m.middleware
}

func (m *most) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		if err := m.admit(c); err != nil {
			return err
		}
		c.OnRecover(m.admit)
		return next(c)
	}
}

// admit takes a place for a socket, until it ends.
func (m *most) admit(c *sio.Ctx) error {
	key := m.key(c.Socket, &m.options)
	p := m.take(key, c.Socket)
	if p == nil {
		return m.refuse(c, Refusal{Key: key}, codeConnections)
	}
	context.AfterFunc(c.Socket.Context(), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.leave(p)
	})
	return nil
}

// take returns a place, or nil if there is none. A socket that recovers a session
// has the values of its former one, which has ended, but may not have left its
// place yet.
func (m *most) take(key string, s *sio.Socket) *place {
	m.mu.Lock()
	defer m.mu.Unlock()
	if former, ok := m.held.Get(s); ok {
		m.leave(former)
	}
	if m.counts[key] >= m.n {
		return nil
	}
	m.counts[key]++
	p := &place{key: key}
	m.held.Set(s, p)
	return p
}

// leave gives a place back, once.
func (m *most) leave(p *place) {
	if p.left {
		return
	}
	p.left = true
	if m.counts[p.key]--; m.counts[p.key] == 0 {
		delete(m.counts, p.key)
	}
}
