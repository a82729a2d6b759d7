// Package soak_test lets clients come and go at two servers over Redis, and checks that the
// servers keep nothing of them. In the tests that is short. `make soak` does it for 20
// minutes, and draws the plot of docs/operations.md.
package soak_test

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
