// Package faults_test puts a network that fails between clients and servers, and checks
// what holds nevertheless: docs/operations.md has the table. In the tests the runs are
// short. `make faults` cuts connections at every byte, and lets 2,000 clients come back at
// once.
package faults_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// faultsEnv is "long" for long runs.
const faultsEnv = "SIOPLUG_FAULTS"

func long() bool { return os.Getenv(faultsEnv) == "long" }

// pick returns one of two values, for a short run and for a long one.
func pick[T any](short, full T) T {
	if long() {
		return full
	}
	return short
}

func TestMain(m *testing.M) {
	if name := os.Getenv(serverEnv); name != "" {
		runServer(name)
		return
	}
	goleak.VerifyTestMain(m, leftByFastHTTP()...)
}

// leftByFastHTTP returns goroutines of fasthttp, which sleep for seconds before they see that
// they are done.
func leftByFastHTTP() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	}
}
