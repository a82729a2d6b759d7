package postgresadapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A sender has the connection that publishes. It is for one goroutine at a time.
type sender struct {
	conn *pgx.Conn
	used time.Time // when it worked the last time
}

func (s *sender) close(ctx context.Context) {
	closeConn(ctx, s.conn)
	s.conn = nil
}

// The names of prepared statements.
const (
	notifyStatement  = "sioplug_notify"
	publishStatement = "sioplug_publish"
)

const notify = "SELECT pg_notify($1, $2)"

// preparePublishing makes sure that there is a connection, and that it works if it is not in use
// all the time. Otherwise messages would be lost when PostgreSQL was restarted.
func (b *broker) preparePublishing(ctx context.Context) error {
	s := &b.sent
	if s.conn != nil && (b.doubt.Swap(false) || time.Since(s.used) > idleTime) {
		if err := b.ping(ctx, s.conn); err != nil {
			if s.close(ctx); errors.Is(err, errSilent) {
				return err
			}
		}
	}
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	s.close(ctx)
	conn, err := b.connect(ctx, nil)
	if err != nil {
		return err
	}
	if err := b.prepareStatements(ctx, conn); err != nil {
		closeConn(ctx, conn)
		return err
	}
	s.conn, s.used = conn, time.Now()
	b.pid.Store(conn.PgConn().PID())
	return nil
}

// prepareStatements also tries what servers do with the table. So the lack of a right is found
// before it matters.
func (b *broker) prepareStatements(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.ReadTimeout)
	defer cancel()
	if err := conn.PgConn().Exec(ctx, b.table.try).Close(); err != nil {
		return fmt.Errorf("postgresadapter: the table %s cannot be used: %w", b.table.name, err)
	}
	for name, sql := range map[string]string{notifyStatement: notify, publishStatement: b.table.publish} {
		if _, err := conn.PgConn().Prepare(ctx, name, sql, nil); err != nil {
			return b.failed(ctx, err)
		}
	}
	return nil
}

// An outgoing is a packet that is encoded.
type outgoing struct {
	channel string
	text    []byte // the notification
	row     []byte // for the table, nil if it is not needed. Then text is the beginning of the notification
}

// firstRoom is the room for what a message has besides its event, in bytes.
const firstRoom = 256

// encode encodes a packet.
func (c channels) encode(p *cluster.Packet) (o outgoing, err error) {
	switch {
	case p.Namespace == "":
		o.channel = c.servers()
	case p.Type.IsResponse() && cluster.IsOurs(p.To):
		o.channel = c.server(p.To)
	default:
		o.channel = c.namespace(p.Namespace)
	}
	if !p.HasBinary() {
		room := firstRoom
		if p.Message != nil {
			room += len(p.Message.Data)
		}
		if o.text, err = cluster.AppendJSON(make([]byte, 0, room), p); err != nil || len(o.text) <= maxPayload {
			return o, err
		}
	}
	return o.throughTable(p)
}

func (o outgoing) throughTable(p *cluster.Packet) (outgoing, error) {
	var err error
	if o.row, err = cluster.AppendMessagePack(nil, p); err == nil {
		o.text, err = appendHeader(o.text[:0], p)
	}
	return o, err
}

// distinguish makes a notification different from earlier ones of the same transaction: of equal
// ones, PostgreSQL sends only the first. Space behind JSON means nothing.
func (o outgoing) distinguish(earlier []outgoing, p *cluster.Packet) (outgoing, error) {
	n := len(o.text)
	for i := range earlier {
		if e := &earlier[i]; e.row == nil && e.channel == o.channel && len(e.text) >= n && bytes.Equal(bytes.TrimRight(e.text, " "), o.text[:n]) {
			o.text = append(o.text, ' ')
		}
	}
	if o.row == nil && len(o.text) > maxPayload {
		return o.throughTable(p)
	}
	return o, nil
}

// maxTransaction is about how many bytes are sent at once.
const maxTransaction = 1 << 20

// publish sends packets in one transaction. If PostgreSQL refuses it, none of them was sent. Then
// each is sent alone, so that only the one at fault is lost.
func (b *broker) publish(ctx context.Context, packets []*cluster.Packet) (taken, lost int, err error) {
	all := make([]outgoing, 0, len(packets))
	for size := 0; len(all) < len(packets) && size < maxTransaction; {
		p := packets[len(all)]
		o, failed := b.encode(p)
		if failed == nil {
			o, failed = o.distinguish(all, p)
		}
		if failed != nil {
			if len(all) == 0 {
				return 0, 1, failed
			}
			break // it is the first one of the next call
		}
		all = append(all, o)
		size += len(o.text) + len(o.row)
	}
	err = b.transact(ctx, all)
	var refused *pgconn.PgError
	switch {
	case err == nil:
		b.sent.used = time.Now()
		return len(all), 0, nil
	case b.sent.conn.IsClosed() || !errors.As(err, &refused):
		b.sent.close(ctx)
		return 0, len(all), err
	case len(all) == 1:
		return 0, 1, err
	}
	for i := range all {
		if taken, lost, err := b.publish(ctx, packets[i:i+1]); taken == 0 {
			return i, lost, err
		}
	}
	return len(all), 0, nil
}

// transact sends messages in one transaction, and waits until PostgreSQL has committed it.
func (b *broker) transact(ctx context.Context, all []outgoing) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.ReadTimeout)
	defer cancel()
	batch := new(pgconn.Batch)
	for _, o := range all {
		if o.row == nil {
			batch.ExecPrepared(notifyStatement, [][]byte{[]byte(o.channel), o.text}, nil, nil)
		} else {
			batch.ExecPrepared(publishStatement, [][]byte{o.row, []byte(o.channel), o.text}, []int16{1, 0, 0}, nil)
		}
	}
	err := b.sent.conn.PgConn().ExecBatch(ctx, batch).Close()
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && !b.sent.conn.IsClosed():
		return fmt.Errorf("postgresadapter: PostgreSQL refuses a message: %w", err)
	default:
		return b.failed(ctx, err)
	}
}
