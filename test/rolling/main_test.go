// Package rolling_test restarts the three servers of a cluster one after the other, while
// clients send and receive. It checks that each client gets each acknowledged message once,
// and that clients come back as slowly as the servers are told. In the tests that is short.
// `make rolling` does it with 1,000 clients, and prints the table of docs/draining.md.
package rolling_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(processEnv); name != "" {
		runProcess(name)
		return
	}
	goleak.VerifyTestMain(m)
}
