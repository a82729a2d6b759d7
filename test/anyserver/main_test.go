// Package anyserver_test runs servers of a cluster over a real Redis, each in a process of its
// own, behind an nginx that sends every request to the next server. Official clients connect
// over polling, over WebSocket, and with the upgrade between them. One server is killed. Over other brokers,
// as over Redis, servers also forward requests without reaching each other.
package anyserver_test

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait. Nothing takes that long unless it fails.
const patience = time.Minute

// roleVariable has a process of this program be a server of the cluster.
const roleVariable = "SIOPLUG_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		serve()
		return
	}
	goleak.VerifyTestMain(m)
}
