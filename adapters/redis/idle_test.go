package redisadapter_test

import (
	"context"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// Nobody says anything for longer than ReadTimeout, except that Redis answers to PING. All
// connections stay.
func TestIdleConnectionsStay(t *testing.T) {
	t.Parallel()
	o := cluster.Options{HeartbeatInterval: time.Hour}
	const timeout = time.Second
	for name, connect := range map[string]func(redis.UniversalClient) server{
		"classic": func(c redis.UniversalClient) server {
			return redisadapter.Classic(c, redisadapter.ClassicOptions{Options: o, ReadTimeout: timeout})
		},
		"sharded": func(c redis.UniversalClient) server {
			return redisadapter.Sharded(c, redisadapter.ShardedOptions{Options: o, ReadTimeout: timeout})
		},
		"streams": func(c redis.UniversalClient) server {
			return redisadapter.Streams(c, redisadapter.StreamsOptions{Options: o, ReadTimeout: timeout, BlockTime: 100 * time.Millisecond})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, redistest.Start(t).Addr)
			all := connect(client)
			errs := make(chan error, 100)
			all.NotifyErrors(func(err error) {
				if err != nil {
					errs <- err
				}
			})
			a := all.Join("/", silent{})
			defer a.Close()
			const pings = 8 // of subscriptions; there are 3 in the time of ReadTimeout
			for deadline := time.After(time.Minute); count(t, client, "cmdstat_ping") < pings; {
				select {
				case err := <-errs:
					t.Fatal(err)
				case <-deadline:
					t.Fatal("Redis is not asked whether it is there")
				case <-time.After(50 * time.Millisecond):
				}
			}
			if s := all.Status(); !s.Healthy || s.Gaps != 0 {
				t.Errorf("the cluster is not healthy: %+v", s)
			}
		})
	}
}

// count returns how often a command was called.
func count(t *testing.T, client *redis.Client, stat string) int {
	t.Helper()
	info, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(stat + `:calls=(\d+)`).FindStringSubmatch(info)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// A silent node has nothing to say.
type silent struct{}

func (silent) Receive(*adapter.Message) {}

func (silent) Answer(context.Context, *adapter.Message, func(*adapter.Reply)) {}
