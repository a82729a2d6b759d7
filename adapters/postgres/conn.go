package postgresadapter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sioplug/sioplug/internal/rescue"
)

var errEncoding = errors.New("postgresadapter: the database has another encoding than UTF8")

// connect opens a connection with the configuration of the pool, which is not one of the pool.
// Its queries are not traced.
func (b *broker) connect(ctx context.Context, notified func(*pgconn.PgConn, *pgconn.Notification)) (conn *pgx.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.ReadTimeout)
	defer cancel()
	config := b.pool.Config()
	c := config.ConnConfig
	c.Tracer, c.OnNotice, c.OnNotification = nil, nil, notified
	c.OnPgError = func(_ *pgconn.PgConn, err *pgconn.PgError) bool { return !strings.EqualFold(err.Severity, "FATAL") }
	err = rescue.Apart(func() (err error) { // functions of the configuration are the application's
		if config.BeforeConnect != nil {
			if err := config.BeforeConnect(ctx, c); err != nil {
				return err
			}
		}
		if conn, err = pgx.ConnectConfig(ctx, c); err == nil && config.AfterConnect != nil {
			err = config.AfterConnect(ctx, conn)
		}
		return err
	})
	if err == nil {
		err = b.setUpSession(ctx, conn)
	}
	if err != nil {
		closeConn(ctx, conn)
		return nil, fmt.Errorf("postgresadapter: connecting to PostgreSQL: %w", err)
	}
	return conn, nil
}

// setUpSession sets what the connections of the adapter need: no statement hangs for longer than
// the connection would be given up, no commit waits for the disk, since notifications are not
// kept anyway, and an idle session does not end.
func (b *broker) setUpSession(ctx context.Context, conn *pgx.Conn) error {
	if e := conn.PgConn().ParameterStatus("server_encoding"); e != "UTF8" && e != "SQL_ASCII" {
		return fmt.Errorf("%w: it has %s", errEncoding, e)
	}
	limit := strconv.FormatInt(max(b.opts.ReadTimeout/2, time.Millisecond).Milliseconds(), 10)
	return conn.PgConn().Exec(ctx, `SET client_min_messages = error; SET synchronous_commit = off; SET statement_timeout = `+limit+`;
		SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'`).Close()
}

// ping reports whether a connection works, after it has waited for at most ReadTimeout.
func (b *broker) ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.ReadTimeout)
	defer cancel()
	if err := conn.PgConn().Exec(ctx, "SELECT").Close(); err != nil {
		return b.failed(ctx, err)
	}
	return nil
}

var errSilent = errors.New("postgresadapter: PostgreSQL has not answered for the time of ReadTimeout")

// failed describes an error of a connection. ctx ends after ReadTimeout.
func (b *broker) failed(ctx context.Context, err error) error {
	if b.ctx.Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errSilent
	}
	return fmt.Errorf("postgresadapter: the connection with PostgreSQL has failed: %w", err)
}

// closeConn closes a connection, which may be nil, also if ctx has ended.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // it is not used any more
	select {
	case <-conn.PgConn().CleanupDone():
	case <-ctx.Done(): // it ends some seconds later
	}
}
