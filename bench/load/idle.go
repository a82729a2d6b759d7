package main

import (
	"context"
	"fmt"
)

// idle is a scenario in which clients connect and do nothing.
func idle(ctx context.Context, r *run) error {
	// What the first clients cost, code that is loaded and pools that are filled, is
	// not a matter of their number.
	for id := range handshakes {
		if err := r.connectCycle(ctx, id); err != nil {
			return err
		}
	}
	before, err := r.collected(ctx)
	if err != nil {
		return err
	}
	from, err := r.sample()
	if err != nil {
		return err
	}
	if _, err = open(ctx, r, r.connect, func(_ int, c *wsClient) error {
		_, b, err := c.next()
		if err == nil {
			err = fmt.Errorf("received %.50q while idle", b)
		}
		return err
	}); err != nil {
		return err
	}
	to, err := r.sample()
	if err != nil {
		return err
	}
	if err := wait(ctx, r.settle); err != nil {
		return err
	}
	settled, err := residentBytes(r.pid)
	if err != nil {
		return err
	}
	after, err := r.collected(ctx)
	n := float64(r.clients)
	r.values["connect_cpu_us"] = micros(to.server-from.server) / n
	r.values["bytes_settled"] = (settled - before) / n
	r.values["bytes_gc"] = (after - before) / n
	return err
}
