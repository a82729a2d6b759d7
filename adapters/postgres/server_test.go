package postgresadapter_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/core/adapter"
)

const patience = 60 * time.Second

// connect returns a pool, which ends with the test.
func connect(tb testing.TB, url string, change ...func(c *pgxpool.Config)) *pgxpool.Pool {
	tb.Helper()
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range change {
		f(c)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// A clusterServer is what tests need of an adapter.
type clusterServer interface {
	adapter.Cluster
	adapter.Reporter
	adapter.ErrorNotifier
}

func newServer(pool *pgxpool.Pool, opts ...postgresadapter.Options) clusterServer {
	return postgresadapter.New(pool, opts...)
}
