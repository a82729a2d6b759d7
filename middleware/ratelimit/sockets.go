package ratelimit

import (
	"strings"
	"sync"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// MaxPerIP is for [sio.Namespace.UseConnect]. It allows all clients of an address together
// n sockets in the namespace at the same time. A socket whose connection has just broken
// counts until the server has noticed that and its last handler has returned. So choose n
// with some room for that. The options IPv6Prefix, Name, Observe, Logger, CountTimeout and
// RefuseUncounted apply.
//
// With [sio.Options.Adapter], the limit is for all servers together that have this limit,
// with the same name ([Name]), in the namespace of the client. Each client that connects is counted by
// two requests to the other servers: before it is accepted, and again afterwards. The
// second time, a client can be too many because another one connects to another server at
// the same moment. Then it gets [EventLimited] and is disconnected. If two clients compete
// for the last place, both may be refused. There are never more than n, unless servers do
// not answer: see [RefuseUncounted].
//
// Sockets are counted by rooms to which they are pinned, see [sio.Socket.Pin]. Their names
// begin with "ratelimit:". A socket that joins such a room by its name counts there as
// well. So do not let clients join rooms of any name.
func MaxPerIP(n int, opts ...Option) sio.Middleware {
	m := newSocketLimit("sockets per ip", n, opts, func(s *sio.Socket, g *guard) string {
		return g.addressKey(s.Address())
	})
	if m.newestWins {
		misuse.Panic("ratelimit: NewestWins is for MaxPerUser: with MaxPerIP, clients of one address would disconnect each other")
	}
	return m.middleware()
}

// MaxPerUser is like [MaxPerIP] for each user: see [PerUser]. It has to come after the
// middleware that authenticates the user. With [NewestWins], a client beyond the limit is
// let in, and the oldest socket of the user is disconnected.
func MaxPerUser(user func(s *sio.Socket) string, n int, opts ...Option) sio.Middleware {
	if user == nil {
		misuse.Panic("ratelimit: MaxPerUser needs a function that tells the user, such as auth.Subject")
	}
	return newSocketLimit("sockets per user", n, opts, func(s *sio.Socket, g *guard) string {
		return g.userKey(user, s)
	}).middleware()
}

// A socketLimit counts the sockets of each key.
type socketLimit struct {
	guard

	n         int
	key       func(*sio.Socket, *guard) string
	ranks     *sio.Key[uint64] // for NewestWins; other servers see them, so the order does not depend on clocks
	uncounted uncountedReport

	mu     sync.Mutex
	counts map[string]int
}

func newSocketLimit(name string, n int, opts []Option, key func(*sio.Socket, *guard) string) *socketLimit {
	if n <= 0 {
		misuse.Panic("ratelimit: a limit of 0 sockets refuses every client: use a number above 0")
	}
	m := &socketLimit{guard: newGuard(name, opts), n: n, key: key, counts: make(map[string]int)}
	if m.newestWins {
		m.ranks = sio.NewDataKey[uint64](roomPrefix + m.name)
	}
	return m
}

func (m *socketLimit) middleware() sio.Middleware {
	return sio.Guard(func(c *sio.Ctx) error {
		c.OnRecover(m.admit)
		if c.Namespace().Clustered() || m.newestWins {
			c.OnAccept(m.confirm)
		}
		return m.admit(c)
	})
}

// replaces reports whether a client beyond the limit of the key replaces another one.
func (m *socketLimit) replaces(key string) bool {
	return m.newestWins && strings.HasPrefix(key, userPrefix)
}

// admit counts a socket until it has ended. A recovered socket is counted anew, because
// the former one has ended.
func (m *socketLimit) admit(c *sio.Ctx) error {
	key := m.key(c.Socket, &m.guard)
	if m.replaces(key) {
		return m.enqueue(c, key)
	}
	if !m.acquire(key) {
		return m.refuse(c, Refusal{Key: key}, codeConnections)
	}
	if !c.OnEnd(func() { m.release(key) }) {
		m.release(key)
	}
	if c.Namespace().Clustered() {
		return m.admitThere(c, key)
	}
	return nil
}

// acquire counts a socket and reports whether that was possible.
func (m *socketLimit) acquire(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts[key] >= m.n {
		return false
	}
	m.counts[key]++
	return true
}

func (m *socketLimit) release(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts[key]--; m.counts[key] == 0 {
		delete(m.counts, key)
	}
}
