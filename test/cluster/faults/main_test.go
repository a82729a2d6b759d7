// Package faults_test breaks the broker of a cluster, its network, and a server, and counts
// what arrives. In the tests the faults are short. `make faults` runs them for as long as
// docs/clustering.md says, and prints the table there.
package faults_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(serverEnv) != "":
		runServer()
		return
	case os.Getenv(natsEnv) != "":
		runNATS()
		return
	}
	goleak.VerifyTestMain(m)
}
