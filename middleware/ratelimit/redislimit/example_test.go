package redislimit_test

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
	"github.com/sioplug/sioplug/middleware/ratelimit"
	"github.com/sioplug/sioplug/middleware/ratelimit/redislimit"
)

// All servers that use this Redis share the limit. In this example Redis is not there, so
// the server's own memory decides.
func ExampleNew() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	shared := redislimit.New(client, &redislimit.Options{Logger: slog.New(slog.DiscardHandler)})

	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("post", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil }),
		ratelimit.PerIP(1, time.Hour, ratelimit.In(shared, "posts")))

	tb := exampletb.New() // in a test, its *testing.T
	tb.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			fmt.Println(err)
		}
	})
	defer tb.End(srv)
	peer := siotest.Connect(tb, srv, "/", nil)
	fmt.Println(peer.Ask("post").Err())
	fmt.Println(peer.Ask("post").Err())
	// Output:
	// <nil>
	// rate limit exceeded
}
