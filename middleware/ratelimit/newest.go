package ratelimit

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	sio "github.com/sioplug/sioplug/core"
)

// NewestWins makes [MaxPerUser] let every client in, and disconnect the oldest sockets of the
// user beyond the limit, on all servers of a cluster. Before that, such a socket gets
// [EventLimited] with {event: "connect", code: "replaced"}. The official client does not
// connect again by itself then. If yours does, two tabs of a user can disconnect each
// other again and again: so also limit connects ([PerUser]).
//
// A client without a user is limited by its address, and is refused beyond the limit. So
// NewestWins is not for [MaxPerIP], where clients of one address would disconnect each
// other: it panics there.
func NewestWins() Option { return func(o *options) { o.newestWins = true } }

// A ranked socket is one of a user's.
type ranked struct {
	id   string
	rank uint64
}

// compare orders sockets. Of those that came at the same moment, any order will do, but it is
// the same on all servers.
func (r ranked) compare(o ranked) int {
	return cmp.Or(cmp.Compare(r.rank, o.rank), strings.Compare(r.id, o.id))
}

// enqueue gives a socket a rank above those of all sockets of its user.
func (m *socketLimit) enqueue(c *sio.Ctx, key string) error {
	others, err := m.fetch(c, key)
	if err != nil {
		return m.refuse(c, Refusal{Key: key, Err: err}, codeUnavailable)
	}
	var last uint64
	for _, o := range others {
		last = max(last, o.rank)
	}
	m.ranks.Set(c.Socket, last+1)
	return nil
}

// replace runs when a client was accepted, and has joined the room of its user: see
// [socketLimit.confirm]. It disconnects all but the n newest sockets. Since a socket has its
// rank before it joins, all servers agree which these are. Of two that come at the same time,
// at least one finds the other. It may be that the socket itself is none of the newest.
func (m *socketLimit) replace(c *sio.Ctx, key string) error {
	all, err := m.fetch(c, key)
	if err != nil {
		return m.reject(c, key, err, codeUnavailable)
	}
	rank, _ := m.ranks.Get(c.Socket)
	all = slices.DeleteFunc(all, func(r ranked) bool { return r.id == c.ID() })
	all = append(all, ranked{c.ID(), rank})
	slices.SortFunc(all, ranked.compare)
	var ids []string
	for _, old := range all[:max(0, len(all)-m.n)] {
		if old.id == c.ID() {
			break
		}
		m.notify(Refusal{Limit: m.name, Key: key, Event: eventConnect, Socket: c.Socket, Replaced: old.id})
		ids = append(ids, old.id)
	}
	failed := disconnectReplaced(c.Namespace(), ids)
	if len(ids) < len(all)-m.n { // the socket itself is among the old ones
		return m.reject(c, key, nil, codeReplaced)
	}
	if failed != nil {
		m.uncounted.report(&m.guard, failed)
		if m.refuseUncounted {
			return m.reject(c, key, failed, codeUnavailable)
		}
	}
	return nil
}

// maxReplaced is how many sockets one message between servers disconnects.
const maxReplaced = 1000

// disconnectReplaced disconnects sockets. It tells other servers of all of them at once, so
// that a user who opens many sockets at the same moment makes no flood between servers.
func disconnectReplaced(ns *sio.Namespace, ids []string) error {
	var failed error
	for some := range slices.Chunk(ids, maxReplaced) {
		sockets := ns.To(some...)
		failed = errors.Join(failed, sockets.Emit(EventLimited, limited{data{Code: codeReplaced}, eventConnect}), sockets.Disconnect())
	}
	return failed
}

// fetch returns the sockets of a user on all servers that answer. An error means that the
// client has to be refused.
func (m *socketLimit) fetch(c *sio.Ctx, key string) ([]ranked, error) {
	ctx, cancel := context.WithTimeout(c.Context(), m.countTimeout)
	defer cancel()
	list, err := c.Namespace().To(m.room(key)).Fetch(ctx)
	all := make([]ranked, 0, len(list)+1)
	for _, s := range list {
		rank, _ := m.ranks.Of(s) // 0 for one that has joined the room by its name
		all = append(all, ranked{s.ID, rank})
	}
	return all, m.checkAnswers(c, err)
}
