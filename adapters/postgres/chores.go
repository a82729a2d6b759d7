package postgresadapter

import (
	"context"
	"math/rand/v2"
)

// cleanUp deletes old messages from the table from time to time. If that fails, it is tried
// again the next time.
func (b *broker) cleanUp() {
	interval := b.opts.CleanupInterval
	for b.sleep(rand.N(interval)); b.ctx.Err() == nil; b.sleep(interval) { //nolint:gosec // servers take turns
		ctx, cancel := context.WithTimeout(b.ctx, max(interval, b.opts.ReadTimeout))
		_, _ = b.pool.Exec(ctx, b.table.cleanup, interval.Seconds(), b.lock("cleanup"))
		cancel()
	}
}

// gone returns those of the locks with the keys $1, counted from 1, that no server has.
const gone = `SELECT n FROM unnest($1::bigint[]) WITH ORDINALITY AS keys (key, n) WHERE pg_try_advisory_xact_lock(key)`

// Gone implements [cluster.Prober]. A server has a lock while its connection listens. Whoever
// gets the lock knows that it does not.
func (b *broker) Gone(ctx context.Context, _ string, ids []string) (list []string, err error) {
	keys := make([]int64, len(ids))
	for i, id := range ids {
		keys[i] = b.lock(id)
	}
	rows, err := b.pool.Query(ctx, gone, keys)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		if n >= 1 && n <= len(ids) {
			list = append(list, ids[n-1])
		}
	}
	return list, rows.Err()
}
