package natsadapter_test

import (
	"context"
	"os"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	"github.com/sioplug/sioplug/core/adapter"
)

// childURL is where a child of a test finds NATS.
const childURL = "SIOPLUG_TEST_NATS"

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
	}
	if text := os.Getenv(memberEnv); text != "" {
		if err := runMember(text); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.getAccessTime.func1.1")) // a clock that never stops
}

// child is a server in a process of its own, to be killed.
func child(url string) {
	nc, err := nats.Connect(url)
	if err != nil {
		panic(err)
	}
	natsadapter.New(nc).Join("/", counted{})
	select {} // until it is killed
}

// counted has one client.
type counted struct{}

func (counted) Receive(*adapter.Message) {}

func (counted) Answer(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
	reply(&adapter.Reply{Clients: 1})
}
