package cluster_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	redisadapter "github.com/sioplug/sioplug/adapters/redis"
)

// A goEmitter is an emitter of this module.
type goEmitter struct{ redisadapter.Emitter }

func (c *cluster) startGoEmitter(t *testing.T, addr string) goEmitter {
	t.Helper()
	if c.variant.adapter == postgres {
		return goEmitter{postgresadapter.NewEmitter(newPool(t, addr), c.variant.postgresOptions())}
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return goEmitter{c.variant.emitter(client)}
}

func (e goEmitter) do(ctx context.Context, c command) (r result, err error) {
	to := e.Of(c.NS).To(names(c.To)...).Except(names(c.Except)...)
	if c.Volatile {
		to = to.Volatile()
	}
	if c.Compress != nil {
		to = to.Compress(*c.Compress)
	}
	args := make([]any, len(c.Args))
	for i, v := range c.Args {
		args[i] = forGo(v)
	}
	switch c.Op {
	case "emit":
		err = to.Emit(ctx, fmt.Sprint(args[0]), args[1:]...)
	case "serverEmit":
		err = to.ServerSideEmit(ctx, fmt.Sprint(args[0]), args[1:]...)
	case "join":
		err = to.Join(ctx, c.Rooms...)
	case "leave":
		err = to.Leave(ctx, c.Rooms...)
	case "disconnect":
		if c.Close {
			err = to.Close(ctx)
		} else {
			err = to.Disconnect(ctx)
		}
	default:
		err = fmt.Errorf("unknown operation of an emitter: %s", c.Op)
	}
	return r, err
}
