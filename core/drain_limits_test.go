package sio_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Somebody wants to wait as long as it takes. That is not no time at all.
func TestDrainThatWaitsAsLongAsItTakes(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	for name, tt := range map[string]struct {
		opts sio.DrainOptions
		want time.Duration
	}{
		"Grace":       {sio.DrainOptions{Spread: -1, Grace: forever}, time.Hour},
		"half of it":  {sio.DrainOptions{Spread: -1, Grace: forever / 2}, time.Hour},
		"both":        {sio.DrainOptions{Spread: forever, Grace: forever}, time.Hour},
		"only Spread": {sio.DrainOptions{Spread: forever}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.On("slow", func(c *sio.Ctx) error {
					select {
					case <-time.After(time.Hour):
					case <-c.Context().Done():
					}
					return nil
				})
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`42["slow"]`)
				synctest.Wait()
				go c.UntilClosed()
				if took := drained(t, srv, &tt.opts); took < tt.want || took > tt.want+3*drainTick {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// Whoever has left, or is kept for recovery, is not waited for.
func TestDrainWithoutClients(t *testing.T) {
	const grace = 3 * time.Second
	for name, tt := range map[string]struct {
		open  func(tb testing.TB, d siotest.Dialer) *siotest.Client
		leave func(srv *sio.Server, c *siotest.Client)
		want  time.Duration
	}{
		"the connection was closed":          {transports()["websocket"], func(_ *sio.Server, c *siotest.Client) { c.Close(); go c.UntilClosed() }, 0},
		"the connection was closed, polling": {transports()["polling"], func(_ *sio.Server, c *siotest.Client) { c.Close() }, 0},
		"the connection was lost":            {transports()["websocket"], func(_ *sio.Server, c *siotest.Client) { c.Abort() }, 0},
		"the client does not poll":           {transports()["polling"], func(*sio.Server, *siotest.Client) { time.Sleep(time.Hour) }, 0},
		"the client was disconnected, and does not know": {
			transports()["polling"], func(srv *sio.Server, _ *siotest.Client) { _ = srv.Broadcast().Close() }, grace,
		},
	} {
		t.Run(name, func(t *testing.T) {
			opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				ended := reasons(srv.Namespace)
				c := tt.open(t, d)
				c.Connect("/", "")
				tt.leave(srv, c)
				<-ended
				synctest.Wait()
				if took := drained(t, srv, &sio.DrainOptions{Spread: time.Hour, Grace: grace}); took < tt.want || took > tt.want+drainTick {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}
