// Package cluster_test runs servers of this module and of the official packages for
// Node.js in one cluster over Redis, with official clients on each. Every operation is
// done from servers of both languages, and judged by what all clients receive:
//
//	go test ./test/cluster -v -run 'TestMixedCluster/sharded_dynamic'
//
// The program for Node.js is in the folder node: it can be several servers, clients and
// emitters at once. The ids in the names of tests are those of the rules that they show.
package cluster_test

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait. Nothing takes that long unless it fails.
const patience = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(usersEnv) != "" {
		runUsersServer()
		return
	}
	goleak.VerifyTestMain(m)
}
