// Package postgresadapter connects servers to a cluster over PostgreSQL, with LISTEN and NOTIFY.
// One line makes a server part of the cluster:
//
//	pool, err := pgxpool.New(ctx, "postgres://localhost/app")
//	// ...
//	srv := sio.New(&sio.Options{Adapter: postgresadapter.New(pool)})
//
// Servers in Node.js with @socket.io/postgres-adapter 0.5 can be in the same cluster. It needs
// PostgreSQL 11 or newer, a database in UTF-8, and a table:
//
//	CREATE TABLE socket_io_attachments (
//	  id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea
//	);
//
// A notification has less than 8,000 bytes. Larger messages and those with binary data go
// through the table, from which the servers delete them after [Options.CleanupInterval]. The
// role of the pool needs the rights SELECT, INSERT and DELETE there, and USAGE of the sequence.
//
// The pool is yours. Each server opens two connections with its configuration: one listens, the
// other publishes. They are not counted in MaxConns. The pool itself serves short statements.
// Connect to PostgreSQL directly, or over a pooler in session mode: LISTEN needs a session. The
// adapter does not close the pool. Shut the server down before you close it.
//
// A message is never sent twice. If a connection fails while messages are sent, these may be
// lost. They are counted in [adapter.Status], as are times after which messages of others may
// have been missed. The messages of one server arrive in the order in which it has sent them.
//
// [adapter.Status]: https://pkg.go.dev/github.com/sioplug/sioplug/core/adapter#Status
package postgresadapter
