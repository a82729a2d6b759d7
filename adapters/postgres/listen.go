package postgresadapter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errTooSlow is reported when messages were dropped.
var errTooSlow = errors.New("postgresadapter: messages of other servers were dropped, because this server reads them too slowly")

// A listener is what the listening goroutine knows.
type listener struct {
	conn    *pgx.Conn
	inbox   []*pgconn.Notification // that have come
	heard   bool                   // some came since the connection was tested
	ctx     context.Context        //nolint:containedctx // of the wait for notifications
	wasUp   bool                   // it has listened before
	told    bool                   // that packets do not arrive
	missing error                  // why packets were dropped that Missed has not said yet
	missed  time.Time              // when it said so the last time
}

// listen has a connection that listens until the broker is closed.
func (b *broker) listen() {
	l := new(listener)
	pause := minPause
	for b.ctx.Err() == nil {
		err := b.listenOnce(l)
		if b.ctx.Err() != nil {
			break
		}
		b.doubt.Store(true)
		if b.setUp(false); !l.told {
			l.told = true
			pause = minPause
			b.in.Disconnected(err)
		}
		b.sleep(pause/2 + rand.N(pause)) //nolint:gosec // servers should not come back at the same time
		pause = min(2*pause, maxPause)
	}
	b.setUp(false)
}

// listenOnce listens until the connection fails.
func (b *broker) listenOnce(l *listener) (err error) {
	for _, n := range l.inbox { // that could not be read any more
		b.pending.release(len(n.Payload) + itemOverhead)
	}
	l.inbox = nil
	if l.conn, err = b.connect(b.ctx, func(_ *pgconn.PgConn, n *pgconn.Notification) { b.notified(l, n) }); err != nil {
		return err
	}
	defer closeConn(b.ctx, l.conn)
	if err := b.subscribe(l, true); err != nil {
		return err
	}
	missed := l.wasUp
	l.wasUp, l.told, l.heard = true, false, true
	b.setUp(true)
	b.in.Connected(missed)
	for {
		if err := b.subscribe(l, false); err != nil {
			return err
		}
		if err := b.read(l); err != nil {
			return err
		}
		if l.missing != nil && time.Since(l.missed) > time.Second {
			b.in.Missed(l.missing)
			l.missing, l.missed = nil, time.Now()
		}
		if err := b.wait(l); err != nil {
			return err
		}
	}
}

// subscribe listens to the channels that have changed, or to all after the connection was opened.
func (b *broker) subscribe(l *listener, opened bool) error {
	sql, joined := b.changes(opened)
	if len(sql) > 0 {
		ctx, cancel := context.WithTimeout(b.ctx, b.opts.ReadTimeout)
		defer cancel()
		if err := l.conn.PgConn().Exec(ctx, strings.Join(sql, ";")).Close(); err != nil {
			b.rejoin(joined)
			return b.failed(ctx, err)
		}
	}
	for namespace := range joined {
		b.in.Subscribed(namespace)
	}
	return nil
}

// changes returns the statements with which the connection listens to what it should, and the
// namespaces that are to be confirmed then.
func (b *broker) changes(opened bool) (sql []string, joined map[string]struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := b.dirty
	if opened {
		b.listening = make(map[string]struct{})
	}
	if opened || b.all {
		changed = maps.Clone(b.listening)
		for channel := range b.spaces {
			changed[channel] = struct{}{}
		}
	}
	for _, channel := range slices.Sorted(maps.Keys(changed)) {
		_, wanted := b.spaces[channel]
		_, listens := b.listening[channel]
		switch {
		case wanted && !listens:
			b.listening[channel] = struct{}{}
			sql = append(sql, "LISTEN "+pgx.Identifier{channel}.Sanitize())
		case !wanted && listens:
			delete(b.listening, channel)
			sql = append(sql, "UNLISTEN "+pgx.Identifier{channel}.Sanitize())
		}
	}
	if opened {
		for _, channel := range []string{b.servers(), b.server(b.self)} {
			sql = append(sql, "LISTEN "+pgx.Identifier{channel}.Sanitize())
		}
		// Others see by the lock that this server is connected: see Gone.
		sql = append(sql, fmt.Sprintf("SELECT pg_advisory_lock_shared(%d)", b.lock(b.self)))
	}
	joined = b.joined
	b.all, b.dirty, b.joined = false, make(map[string]struct{}), make(map[string]struct{})
	return sql, joined
}

// rejoin notes that namespaces are still to be confirmed. This server may have left some meanwhile.
func (b *broker) rejoin(joined map[string]struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for namespace := range joined {
		if b.spaces[b.namespace(namespace)] == namespace {
			b.joined[namespace] = struct{}{}
		}
	}
}

// wait waits until there is something to do.
func (b *broker) wait(l *listener) error {
	if l.ctx == nil || l.ctx.Err() != nil {
		if l.ctx != nil && !l.heard && errors.Is(l.ctx.Err(), context.DeadlineExceeded) {
			if err := b.ping(b.ctx, l.conn); err != nil {
				return err
			}
		}
		b.mu.Lock()
		l.ctx, b.interrupt = context.WithTimeout(b.ctx, pingInterval)
		l.heard = false
		if b.all || len(b.dirty) > 0 {
			b.interrupt()
		}
		b.mu.Unlock()
	}
	if len(l.inbox) > 0 {
		return nil
	}
	if err := l.conn.PgConn().WaitForNotification(l.ctx); err != nil && (l.ctx.Err() == nil || l.conn.IsClosed()) {
		return b.failed(b.ctx, err)
	}
	return b.ctx.Err()
}

// notified takes a notification that has come over the connection.
func (b *broker) notified(l *listener, n *pgconn.Notification) {
	l.heard = true
	if n.PID == b.pid.Load() && n.Channel != b.servers() && strings.Contains(n.Payload, b.self) {
		return // this server itself has sent it
	}
	if !b.pending.reserve(len(n.Payload) + itemOverhead) {
		l.missing = errTooSlow
		return
	}
	l.inbox = append(l.inbox, n)
}
