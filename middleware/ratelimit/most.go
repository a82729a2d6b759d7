package ratelimit

import (
	"context"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// MaxPerIP is for [sio.Namespace.UseConnect]: it allows the clients of each
// address together n sockets at the same time. Of the options, Name, IPv6Prefix
// and Observe apply. A client whose connection has just broken still counts until
// the server has noticed, so leave room for that.
func MaxPerIP(n int, opts ...Option) sio.Middleware {
	return newMost("connections per ip", n, opts, func(s *sio.Socket, o *options) string {
		return o.address(s.Handshake().Address)
	})
}

// MaxPerUser is like [MaxPerIP] for each user, as [PerUser] is like [PerIP]. It has
// to come after the middleware that finds out who the user is.
func MaxPerUser(user func(s *sio.Socket) string, n int, opts ...Option) sio.Middleware {
	if user == nil {
		misuse("MaxPerUser needs a function that tells the user, such as auth.Subject")
	}
	return newMost("connections per user", n, opts, func(s *sio.Socket, o *options) string {
		return o.userOrAddress(user, s)
	})
}

// A most counts the sockets of each key.
type most struct {
	options

	n    int
	key  func(*sio.Socket, *options) string
	held *sio.Key[*place]

	mu     sync.Mutex
	counts map[string]int
}

// A place is one of those that a key has, taken by a socket.
type place struct {
	socket *sio.Socket
	leave  func() // once
}

func newMost(name string, n int, opts []Option, key func(*sio.Socket, *options) string) sio.Middleware {
	if n <= 0 {
		misuse("a limit of no connections: use a number above 0")
	}
	m := &most{
		options: newOptions(name, opts), n: n, key: key,
		held: sio.NewKey[*place]("ratelimit place"), counts: make(map[string]int),
	}
	return m.middleware
}

func (m *most) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		if err := m.take(c); err != nil {
			return err
		}
		c.OnAccept(m.takeAgain)
		return next(c)
	}
}

func (m *most) take(c *sio.Ctx) error {
	key := m.key(c.Socket, &m.options)
	m.mu.Lock()
	full := m.counts[key] >= m.n
	if !full {
		m.counts[key]++
	}
	m.mu.Unlock()
	if full {
		m.tell(Refusal{Limit: m.name, Key: key, Event: c.Event(), Socket: c.Socket})
		return &sio.Error{Message: "too many connections", Data: data{Code: codeConnections}}
	}
	p := &place{socket: c.Socket, leave: sync.OnceFunc(func() { m.leave(key) })}
	m.held.Set(c.Socket, p)
	context.AfterFunc(c.Socket.Context(), p.leave)
	return nil
}

// takeAgain is for a client that recovers its session, for which the connect chain
// is skipped. Its former socket has ended, but may be about to leave its place.
func (m *most) takeAgain(c *sio.Ctx) error {
	p, ok := m.held.Get(c.Socket)
	if !ok || p.socket == c.Socket {
		return nil
	}
	p.leave()
	return m.take(c)
}

func (m *most) leave(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts[key]--; m.counts[key] == 0 {
		delete(m.counts, key)
	}
}

// MaxRooms is for events by which clients join rooms: it refuses them for a socket
// that is in n rooms already, other than that of its id.
func MaxRooms(n int, opts ...Option) sio.Middleware {
	o := newOptions("rooms", opts)
	return sio.Guard(func(c *sio.Ctx) error {
		if len(c.Rooms())-1 < n {
			return nil
		}
		o.tell(Refusal{Limit: o.name, Key: c.ID(), Event: c.Event(), Socket: c.Socket})
		return &sio.Error{Message: "too many rooms", Data: data{Code: codeRooms}}
	})
}

// InFlight allows n of the events that it is for to be handled at the same time,
// whoever sent them: it protects what their handlers use. Others are refused, or
// wait with [Delay]. How many events of one socket wait for their handlers is up to
// [sio.Options.MaxPendingEvents].
func InFlight(n int, opts ...Option) sio.Middleware {
	if n <= 0 {
		misuse("InFlight of no events: use a number above 0")
	}
	o := newOptions("in flight", opts)
	slots := make(chan struct{}, n)
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			if !o.enter(c, slots) {
				o.tell(Refusal{Limit: o.name, Key: c.Namespace().Name(), Event: c.Event(), Socket: c.Socket})
				return &sio.Error{Message: "too busy", Data: data{Code: codeBusy}}
			}
			defer func() { <-slots }()
			return next(c)
		}
	}
}

// enter takes a slot, for which it waits as long as the options say.
func (o *options) enter(c *sio.Ctx, slots chan<- struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	if o.patience <= 0 {
		return false
	}
	timer := time.NewTimer(o.patience)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-c.Context().Done():
	}
	return false
}
