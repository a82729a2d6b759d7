package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/interval"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/own"
)

// CountTimeout sets how long MaxPerIP and MaxPerUser wait at most for other servers to
// count their sockets, one second by default. A client that connects waits for it once or
// twice. It applies to servers with [sio.Options.Adapter].
func CountTimeout(d time.Duration) Option {
	if d <= 0 {
		misuse.Panic("ratelimit: CountTimeout has to be above 0")
	}
	return func(o *options) { o.countTimeout = d }
}

// RefuseUncounted makes MaxPerIP and MaxPerUser refuse a client if other servers do not
// count their sockets in time. By default, the sockets of the servers that have answered
// decide. The log says at Error, at most once a minute, for how many clients that was so.
func RefuseUncounted() Option { return func(o *options) { o.refuseUncounted = true } }

const defaultCountTimeout = time.Second

// roomPrefix begins the names of the rooms by which sockets are counted.
const roomPrefix = own.RoomOfLimit

// room returns the room of a key's sockets. It has a hash of the key, because clients may
// choose keys, and because brokers may see the names of rooms.
func (m *socketLimit) room(key string) string {
	hash := sha256.Sum256([]byte(key))
	return m.roomsPrefix() + base64.RawURLEncoding.EncodeToString(hash[:18]) //nolint:mnd // collisions are out of reach
}

func (m *socketLimit) roomsPrefix() string { return roomPrefix + m.name + ":" }

// admitThere reports whether the key has room for one more socket, so far as the sockets of
// all servers are known that have joined their room. Another one may come at the same
// time, so [socketLimit.confirm] counts again.
func (m *socketLimit) admitThere(c *sio.Ctx, key string) error {
	n, err := m.countAll(c, key)
	switch {
	case err != nil:
		return m.refuse(c, Refusal{Key: key, Err: err}, codeUnavailable)
	case n >= m.n:
		return m.refuse(c, Refusal{Key: key}, codeConnections)
	}
	return nil
}

// confirm runs when a client was accepted. The socket joins the room of its key first, and
// then counts. So of two sockets that come to different servers at the same time, at least
// one finds the other. If there is room for one only, both may be refused, but never are
// there too many.
func (m *socketLimit) confirm(c *sio.Ctx) error {
	key := m.key(c.Socket, &m.guard)
	if !m.replaces(key) && !c.Namespace().Clustered() {
		return nil
	}
	room := m.room(key)
	if err := c.Pin(room); err != nil {
		return err
	}
	stale := slices.DeleteFunc(c.Pinned(), func(r string) bool { return r == room || !strings.HasPrefix(r, m.roomsPrefix()) })
	if err := c.Unpin(stale...); err != nil { // a recovered socket may have had another address
		return err
	}
	if m.replaces(key) {
		return m.replace(c, key)
	}
	switch n, err := m.countAll(c, key); {
	case err != nil:
		return m.reject(c, key, err, codeUnavailable)
	case n > m.n:
		return m.reject(c, key, nil, codeConnections)
	}
	return nil
}

// reject refuses a client that was accepted before.
func (m *socketLimit) reject(c *sio.Ctx, key string, err error, because code) error {
	_ = c.Emit(EventLimited, limited{data{Code: because}, eventConnect}) // the socket may have gone
	return m.refuse(c, Refusal{Key: key, Err: err}, because)
}

// countAll counts the key's sockets on all servers that answer. An error means that the
// client has to be refused.
func (m *socketLimit) countAll(c *sio.Ctx, key string) (int, error) {
	ctx, cancel := context.WithTimeout(c.Context(), m.countTimeout)
	defer cancel()
	n, err := c.Namespace().To(m.room(key)).Count(ctx)
	return n, m.checkAnswers(c, err)
}

// checkAnswers returns an error if a client has to be refused because other servers have not
// answered.
func (m *socketLimit) checkAnswers(c *sio.Ctx, err error) error {
	if err == nil || c.Context().Err() != nil { // the client has gone
		return context.Cause(c.Context())
	}
	m.uncounted.report(&m.guard, err)
	if m.refuseUncounted {
		return err
	}
	return nil
}

// An uncountedReport counts the times that other servers did not count their sockets.
type uncountedReport struct {
	times atomic.Int64 // since the last report
	limit interval.Limit
}

func (u *uncountedReport) report(g *guard, err error) {
	u.times.Add(1)
	if u.limit.Allow(reportInterval) {
		g.log.LogAttrs(context.Background(), slog.LevelError, "other servers did not count their sockets",
			slog.String("limit", g.name), slog.Int64("times", u.times.Swap(0)), slog.Bool("refused", g.refuseUncounted), slog.Any("err", err))
	}
}
