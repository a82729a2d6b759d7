package postgresadapter

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/internal/misuse"
)

// Options are the options of [New]. A zero value means the default.
type Options struct {
	cluster.Options

	// ChannelPrefix is the beginning of the names of all channels, "socket.io" by default.
	// It has at most 29 bytes. All servers and emitters must have the same.
	ChannelPrefix string

	// TableName is the name of the table for large and binary messages,
	// "socket_io_attachments" by default. It may begin with a schema, as in
	// "app.attachments". Upper case counts. All servers and emitters must have the same.
	TableName string

	// CleanupInterval is how often this server deletes messages from the table, and how
	// old they are at least, 30 seconds by default. A server that reads a message later
	// than that misses it.
	CleanupInterval time.Duration

	// ReadTimeout is how long PostgreSQL may be silent before a connection is given up, 30
	// seconds by default.
	ReadTimeout time.Duration

	// MaxPendingBytes is how many bytes of messages of other servers may wait until this
	// server has read them, 64 MiB by default. More are dropped, which is one of the gaps
	// in adapter.Status. A message of more than half of it is not sent: see
	// [cluster.ErrTooLarge].
	MaxPendingBytes int
}

// EmitterOptions are the options of [NewEmitter]. A zero value means the default.
type EmitterOptions struct {
	ChannelPrefix string // as Options.ChannelPrefix of the servers
	TableName     string // as Options.TableName of the servers
}

const (
	defaultPrefix          = "socket.io"
	defaultTable           = "socket_io_attachments"
	defaultCleanupInterval = 30 * time.Second
	defaultReadTimeout     = 30 * time.Second
	defaultMaxPendingBytes = 64 << 20
)

// New returns an adapter that opens connections with the configuration of pool, and uses the
// pool for short statements. It does not close the pool. Each server needs an adapter of its
// own. New panics if an option is wrong.
func New(pool *pgxpool.Pool, opts ...Options) *cluster.Cluster {
	o := misuse.One("postgresadapter", "New", opts)
	checkPool("New", pool)
	for name, v := range map[string]int64{
		"CleanupInterval": int64(o.CleanupInterval), "ReadTimeout": int64(o.ReadTimeout), "MaxPendingBytes": int64(o.MaxPendingBytes),
	} {
		if v < 0 {
			misuse.Panic(fmt.Sprintf("postgresadapter: New: %s is negative: leave it 0 for the default", name))
		}
	}
	o.CleanupInterval = cmp.Or(o.CleanupInterval, defaultCleanupInterval)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, defaultReadTimeout)
	o.MaxPendingBytes = cmp.Or(o.MaxPendingBytes, defaultMaxPendingBytes)
	c, t := newChannels("New", o.ChannelPrefix), newTable("New", o.TableName)
	return cluster.New(func() cluster.Broker { return newBroker(pool, c, t, o) }, o.Options)
}

func checkPool(function string, pool *pgxpool.Pool) {
	if pool == nil {
		misuse.Panic(fmt.Sprintf("postgresadapter: %s: the pool is nil: pass the result of pgxpool.New", function))
	}
}

func newChannels(function, prefix string) channels {
	prefix = cmp.Or(prefix, defaultPrefix)
	if len(prefix) > maxPrefix || !isText(prefix) {
		misuse.Panic(fmt.Sprintf("postgresadapter: %s: ChannelPrefix %q cannot begin the name of a channel: take at most %d bytes of text", function, prefix, maxPrefix))
	}
	return channels{prefix}
}

// A table has the statements with the table for large and binary messages.
type table struct {
	name    string // as SQL has it
	publish string // inserts $1, and notifies the channel $2 of the text $3 with the id
	fetch   string // returns the rows with the ids $1 that have at most $2 bytes
	cleanup string // deletes rows that are older than $1 seconds, unless another server does
	try     string // does what a server does with the table, in vain
}

func newTable(function, name string) table {
	parts := strings.Split(cmp.Or(name, defaultTable), ".")
	for _, part := range parts {
		if part == "" || len(parts) > 2 || len(part) > maxIdentifier || !isText(part) {
			misuse.Panic(fmt.Sprintf("postgresadapter: %s: TableName %q is no name of a table: take a name, or a schema, a dot and a name", function, name))
		}
	}
	n := pgx.Identifier(parts).Sanitize()
	return table{
		name:    n,
		publish: `WITH a AS (INSERT INTO ` + n + ` (payload) VALUES ($1) RETURNING id) SELECT pg_notify($2, $3::text || id::text || '"}') FROM a`,
		fetch:   `SELECT id, payload FROM ` + n + ` WHERE id = ANY($1) AND octet_length(payload) <= $2::bigint`,
		cleanup: `DELETE FROM ` + n + ` WHERE (SELECT pg_try_advisory_xact_lock($2)) AND created_at < now() - make_interval(secs => $1)`,
		try: `BEGIN; INSERT INTO ` + n + ` (payload) VALUES (''); SELECT id, payload FROM ` + n + ` WHERE id IS NULL; ` +
			`DELETE FROM ` + n + ` WHERE id IS NULL AND created_at < now(); ROLLBACK`,
	}
}

// isText reports whether PostgreSQL can have a string in a database in UTF-8.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
