package redisadapter_test

import (
	"context"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
)

// A job tells the clients of one room, without being a server. The servers have the
// adapter [redisadapter.Classic], or that of the npm package @socket.io/redis-adapter.
func ExampleClassicEmitter() { //nolint:testableexamples // it needs Redis
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()
	news := redisadapter.ClassicEmitter(client).Of("/news")
	ctx := context.Background()
	headline := map[string]any{"text": "Final score 2:1", "image": []byte{1, 2, 3}}
	if err := news.To("sports").Emit(ctx, "headline", headline); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
