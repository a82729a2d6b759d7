package siotest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNetHTTP(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) siotest.Dialer { return siotest.Loopback(t, srv) })
}

func TestNetHTTPOverTLS(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) siotest.Dialer { return siotest.LoopbackTLS(t, srv) })
}

// TestPipes shows that client, server and network fit into a bubble.
func TestPipes(t *testing.T) {
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		synctest.Test(t, func(t *testing.T) {
			srv := sio.New(nil)
			srv.On("hello", sio.Reply(func(_ *sio.Ctx, name string) (string, error) { return "hello " + name, nil }))
			d := siotest.Pipes(t, srv)
			t.Cleanup(func() {
				if err := srv.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
			c := open(t, d)
			c.Connect("/", "")
			c.Send(`421["hello","bubble"]`)
			c.Want(`431["hello bubble"]`)
		})
	})
}
