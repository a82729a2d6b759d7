package postgresadapter_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// A server without the table, or without a right, says so at once, and works as soon as it has
// both.
func TestTableAndRights(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	s.SQL("CREATE ROLE chat LOGIN; CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO chat")
	o := postgresadapter.Options{TableName: "app.Attachments"}
	url := strings.Replace(s.URL, "postgres@", "chat@", 1)
	a := join(t, newServer(connect(t, url), o))
	for _, step := range []struct{ told, sql string }{
		{`the table "app"."Attachments" cannot be used`, strings.Replace(postgrestest.Table, "socket_io_attachments", `app."Attachments"`, 1)},
		{`permission denied for table Attachments`, `GRANT SELECT, INSERT ON app."Attachments" TO chat`},
		{`permission denied for`, `GRANT USAGE ON SEQUENCE app."Attachments_id_seq" TO chat`},
		{`permission denied for`, `GRANT DELETE ON app."Attachments" TO chat`},
	} {
		eventually(t, "the lack is told", func() bool {
			st := a.cluster.Status()
			return st.Err != nil && strings.Contains(st.Err.Error(), step.told)
		})
		s.SQL(step.sql)
	}
	eventually(t, "it is healthy", func() bool { return a.cluster.Status().Healthy })
	b := join(t, newServer(connect(t, s.URL), o))
	whole(t, a, b)
	a.send(binary("x", 1))
	b.expectRaw(`["x",{"_placeholder":true,"num":0}] 1 bytes fe`)
	if got := s.SQL(`SELECT count(*) FROM app."Attachments"`); got[0] != "1" {
		t.Errorf("%s rows", got)
	}
}

// ECO-PG-5: old rows are deleted, young ones stay.
func TestCleanup(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	s.SQL("INSERT INTO socket_io_attachments (created_at, payload) VALUES (now() - interval '1 hour', 'a'), (now() + interval '1 hour', 'b')")
	for range 3 {
		join(t, newServer(connect(t, s.URL), postgresadapter.Options{CleanupInterval: 200 * time.Millisecond}))
	}
	eventually(t, "the old row has gone", func() bool { return s.SQL("SELECT count(*) FROM socket_io_attachments WHERE id = 1")[0] == "0" })
	if s.SQL("SELECT count(*) FROM socket_io_attachments WHERE id = 2")[0] != "1" {
		t.Error("the young row has gone as well")
	}
}

// A database in another encoding cannot have all texts.
func TestEncodings(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	s.SQL("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
	a := join(t, newServer(connect(t, strings.Replace(s.URL, "/postgres?", "/latin?", 1))))
	eventually(t, "it is told", func() bool { return a.toldOf("another encoding than UTF8: it has LATIN1") })
}

// Connections are opened as those of the pool are, and functions of the application do no harm.
func TestConnectionsOfThePool(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	before := make(chan int, 1000)
	good := connect(t, strings.Replace(s.URL, "postgres@", "nobody@", 1), func(c *pgxpool.Config) {
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			c.User = "postgres"
			before <- 1
			return nil
		}
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET application_name = 'after connect'")
			return err
		}
	})
	a := join(t, newServer(good))
	eventually(t, "it has its connections", func() bool {
		n := s.SQL("SELECT count(*) >= 2 FROM pg_stat_activity WHERE application_name = 'after connect' AND usename = 'postgres'")
		return n[0] == "t" && len(before) >= 2 && a.cluster.Status().Healthy
	})
	bad := connect(t, s.URL, func(c *pgxpool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { panic("the password is gone") }
	})
	b := join(t, newServer(bad))
	eventually(t, "it is told", func() bool { return b.toldOf("the password is gone") })
	worse := connect(t, s.URL, func(c *pgxpool.Config) {
		c.AfterConnect = func(context.Context, *pgx.Conn) error { panic("no such role") }
	})
	d := join(t, newServer(worse))
	eventually(t, "it is told", func() bool { return d.toldOf("no such role") })
}

// Each server has two connections beyond those of the pool, also if the application uses all of
// these.
func TestExhaustedPools(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	pool := connect(t, s.URL, func(c *pgxpool.Config) { c.MaxConns = 1 })
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	a, b := join(t, newServer(pool)), join(t, newServer(pool))
	whole(t, a, b)
	a.publish("x")
	b.expect("x")
}

// Wrong options panic, with the remedy.
func TestWrongOptions(t *testing.T) {
	t.Parallel()
	pool := connect(t, "postgres://nobody@127.0.0.1:1/nothing")
	for name, f := range map[string]func(){
		"nil":          func() { postgresadapter.New(nil) },
		"nil emitter":  func() { postgresadapter.NewEmitter(nil) },
		"two":          func() { postgresadapter.New(pool, postgresadapter.Options{}, postgresadapter.Options{}) },
		"long prefix":  func() { postgresadapter.New(pool, postgresadapter.Options{ChannelPrefix: strings.Repeat("x", 30)}) },
		"prefix":       func() { postgresadapter.New(pool, postgresadapter.Options{ChannelPrefix: "\x00"}) },
		"table":        func() { postgresadapter.New(pool, postgresadapter.Options{TableName: "a.b.c"}) },
		"empty schema": func() { postgresadapter.NewEmitter(pool, postgresadapter.EmitterOptions{TableName: ".a"}) },
		"pending":      func() { postgresadapter.New(pool, postgresadapter.Options{MaxPendingBytes: -1}) },
		"cleanup":      func() { postgresadapter.New(pool, postgresadapter.Options{CleanupInterval: -1}) },
		"timeout":      func() { postgresadapter.New(pool, postgresadapter.Options{ReadTimeout: -1}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	postgresadapter.New(pool, postgresadapter.Options{ChannelPrefix: strings.Repeat("x", 29), TableName: `a "schema".a table`})
}
