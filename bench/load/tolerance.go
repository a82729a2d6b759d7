package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gobwas/ws"
)

// hearAny waits for the answer to any request that has none, and counts it if one before
// is still to come.
func (d *dialogue) hearAny() error {
	op, got, err := d.peer.next()
	if err != nil {
		return err
	}
	for i, seq := range d.waiting {
		d.buf = d.answer(d.buf[:0], d.client, seq)
		if op != ws.OpText || !bytes.Equal(got, d.buf) {
			continue
		}
		if i > 0 {
			d.early.Add(1)
		}
		d.waiting = slices.Delete(d.waiting, i, i+1)
		d.answered++
		return nil
	}
	return fmt.Errorf("received %.80q (opcode %d, %d bytes), for which no request waits", got, op, len(got))
}

// tolerated is how long one cycle of a tolerant run may take. The last answers may take twice
// as long, so that the last cycles have ended.
const tolerated = 5 * time.Second

// inTime runs a cycle, which in a tolerant run fails when it takes too long.
func (r *run) inTime(ctx context.Context, id int, cycle func(ctx context.Context, id int) error) error {
	if r.tolerant {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, tolerated, errors.New("the cycle took too long"))
		defer cancel()
	}
	return cycle(ctx, id)
}

// flawsSince takes how many mistakes a tolerant run has counted, and of how many answers
// or cycles. A cycle that failed is not among the units.
func (r *run) flawsSince(from, to sample) {
	if !r.tolerant {
		return
	}
	flaws, of := to.flaws-from.flaws, to.units-from.units
	if r.cyclic {
		of += flaws
	}
	r.values["flaws"], r.values["flaws_of"] = float64(flaws), float64(of)
}

// leave ends a tolerant run, and counts the clients that wait for an answer in vain.
func (r *run) leave(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		r.clientsEnd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	case <-time.After(min(r.patience, 2*tolerated)):
	}
	if !r.cyclic {
		r.values["unanswered"] = float64(int64(r.clients) - r.finished.Load())
	}
}
