package main

import (
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// A cluster knows its members.
type cluster interface {
	adapter.Cluster
	adapter.Reporter
}

// adapters have, by name, what makes a cluster of servers.
var adapters = map[string]func(client redis.UniversalClient) cluster{ //nolint:gochecknoglobals // immutable
	"classic": func(c redis.UniversalClient) cluster { return redisadapter.Classic(c) },
	"sharded": func(c redis.UniversalClient) cluster { return redisadapter.Sharded(c) },
	"streams": func(c redis.UniversalClient) cluster { return redisadapter.Streams(c) },
}

// newServer returns a server, which is by itself if the adapter has no name.
func newServer(o *sio.Options, name, redisAddr string) (*sio.Server, error) {
	if name == "" {
		return sio.New(o), nil
	}
	newCluster, ok := adapters[name]
	if !ok {
		return nil, errors.New("unknown -adapter " + strconv.Quote(name))
	}
	others := newCluster(redis.NewClient(&redis.Options{Addr: redisAddr}))
	o.Adapter = others
	srv := sio.New(o)
	srv.On("servers", func(c *sio.Ctx) error { return c.Ack(1 + len(others.Status().Members)) })
	return srv, nil
}
