package postgresadapter

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/internal/misuse"
)

// An Emitter sends to the clients of a cluster from a process that is no server, such as a
// job or a command: see [cluster.Emitter]. It is made by [NewEmitter].
type Emitter = cluster.Emitter

// NewEmitter returns an [Emitter] for servers with the adapter [New] and for servers in Node.js
// with the official adapter. It uses pool and does not close it. NewEmitter panics if an option is
// wrong.
func NewEmitter(pool *pgxpool.Pool, opts ...EmitterOptions) Emitter {
	o := misuse.One("postgresadapter", "NewEmitter", opts)
	checkPool("NewEmitter", pool)
	c, t := newChannels("NewEmitter", o.ChannelPrefix), newTable("NewEmitter", o.TableName)
	return cluster.NewEmitter(func(ctx context.Context, p *cluster.Packet) error {
		out, err := c.encode(p)
		if err != nil {
			return err
		}
		if out.row == nil {
			_, err = pool.Exec(ctx, notify, out.channel, string(out.text))
		} else {
			_, err = pool.Exec(ctx, t.publish, out.row, out.channel, string(out.text))
		}
		if err != nil {
			return fmt.Errorf("postgresadapter: publishing: %w", err)
		}
		return nil
	})
}
