// Package faults_test breaks the Redis of a cluster, its network, and a server, and counts
// what arrives. In the tests the faults are short. `make faults` runs them for as long as
// docs/clustering.md says, and prints the table there.
package faults_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		runServer()
		return
	}
	goleak.VerifyTestMain(m)
}
