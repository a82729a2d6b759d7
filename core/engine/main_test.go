package engine_test

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// The names of the tests begin with the rows of the reference's behaviour that
// they show. Where a name says "better", the reference does something else and
// the row says what would be better.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inBubble runs a subtest in fake time, with a server of its own.
func inBubble(t *testing.T, name string, opts engine.Options, f func(t *testing.T, k *enginetest.Kit)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, enginetest.New(t, opts)) })
	})
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// The answers to requests that verification turns down.
const (
	unknownTransport = `400 {"code":0,"message":"Transport unknown"}`
	unknownSession   = `400 {"code":1,"message":"Session ID unknown"}`
	badMethod        = `400 {"code":2,"message":"Bad handshake method"}`
	badRequest       = `400 {"code":3,"message":"Bad request"}`
	badVersion       = `400 {"code":5,"message":"Unsupported protocol version"}`
)
