package postgresadapter_test

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/core/adapter"
)

// childURL is where a child of a test finds PostgreSQL.
const childURL = "SIOPLUG_TEST_POSTGRES"

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
	}
	goleak.VerifyTestMain(m)
}

// child is a server in a process of its own, to be killed.
func child(url string) {
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		panic(err)
	}
	postgresadapter.New(pool).Join("/", counted{})
	select {} // until it is killed
}

// counted has one client.
type counted struct{}

func (counted) Receive(*adapter.Message) {}

func (counted) Answer(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
	reply(&adapter.Reply{Clients: 1})
}
