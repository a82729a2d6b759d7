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
