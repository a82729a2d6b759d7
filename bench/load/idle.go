package main

import (
	"context"
	"fmt"
	"time"
)

// heartbeat is when every client has been pinged once since it connected: Socket.IO
// servers do that every 25 seconds by default.
const heartbeat = 26 * time.Second

// idle is a scenario in which clients connect and do nothing.
func idle(ctx context.Context, r *run) {
	// What the first clients cost, code that is loaded and pools that are filled, is
	// not a matter of their number.
	for id := range handshakes {
		r.check(r.connectCycle(ctx, id))
	}
	before := r.collected(ctx)
	from := r.sample(ctx)
	open(ctx, r, r.connect, func(_ int, c *wsClient) error {
		_, b, err := c.next()
		if err == nil {
			err = fmt.Errorf("received %.50q while idle", b)
		}
		return err
	})
	to := r.sample(ctx)
	wait(ctx, r.settle)
	settled := r.resident()
	collected := r.collected(ctx)
	quiet := r.sample(ctx)
	wait(ctx, r.beats-time.Since(to.at))
	beaten := r.sample(ctx)

	n := float64(r.clients)
	r.values["connect_cpu_us"] = micros(to.server-from.server) / n
	r.values["bytes_settled"] = (settled - before) / n
	r.values["bytes_gc"] = (collected - before) / n
	if r.beats >= heartbeat {
		r.values["beat_cpu_us"] = micros(beaten.server-quiet.server) / n
	}
}
