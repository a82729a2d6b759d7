package postgresadapter_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	sio "github.com/sioplug/sioplug/core"
)

// A server in a cluster with others that use the same database.
func ExampleNew() { //nolint:testableexamples // needs PostgreSQL
	pool, err := pgxpool.New(context.Background(), "postgres://localhost/app")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := sio.New(&sio.Options{Adapter: postgresadapter.New(pool)})
	_ = srv
}

// A job that emits to the clients of all servers.
func ExampleNewEmitter() { //nolint:testableexamples // needs PostgreSQL
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://localhost/app")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	emitter := postgresadapter.NewEmitter(pool)
	if err := emitter.To("news").Emit(ctx, "headline", "Hello"); err != nil {
		fmt.Println(err)
	}
}
