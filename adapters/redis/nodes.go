package redisadapter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/internal/misuse"
)

// overrideTime is how long the owner of a slot that a server has named counts, before what
// go-redis knows counts again. go-redis asks every 10 seconds.
const overrideTime = 15 * time.Second

// troubleTime is how long a master that has failed is not preferred.
const troubleTime = time.Minute

// A nodes is the Redis behind an application's client: one server, or the masters of a
// Redis Cluster. A server is called by its address; the only one is called "".
type nodes struct {
	single  *server              // nil for a cluster
	cluster *redis.ClusterClient // nil for a single server
	client  redis.UniversalClient
	timeout time.Duration

	mu        sync.Mutex
	overrides map[uint16]override  // by slot
	trouble   map[string]time.Time // when a connection with a server has failed
	chosen    string               // the master for what has no slot
}

type override struct {
	addr string
	at   time.Time
}

// newNodes panics if the client is none that it can use. function is the name of the
// function that was called.
func newNodes(client redis.UniversalClient, timeout time.Duration, function string) *nodes {
	n := &nodes{client: client, timeout: timeout, overrides: make(map[uint16]override), trouble: make(map[string]time.Time)}
	switch c := client.(type) {
	case nil:
		misuse.Panic("redisadapter: " + function + ": the client is nil: pass the result of redis.NewClient")
	case *redis.Client:
		if c == nil {
			misuse.Panic("redisadapter: " + function + ": the client is nil: pass the result of redis.NewClient")
		}
		o := *c.Options()
		n.single = &server{options: &o, readTimeout: timeout}
	case *redis.ClusterClient:
		if c == nil {
			misuse.Panic("redisadapter: " + function + ": the client is nil: pass the result of redis.NewClusterClient")
		}
		n.cluster = c
	case *redis.Ring:
		misuse.Panic("redisadapter: " + function + ": a redis.Ring has no order of messages: " +
			"pass a client of one of its servers, or use Redis Cluster with redis.NewClusterClient")
	default:
		misuse.Panic(fmt.Sprintf("redisadapter: %s: a client of type %T has no options to connect with: "+
			"pass the result of redis.NewClient, redis.NewFailoverClient or redis.NewClusterClient", function, client))
	}
	return n
}

// owner returns the server that has the slot of key. It waits for the network the first
// time.
func (n *nodes) owner(ctx context.Context, key string) (string, error) {
	if n.cluster == nil {
		return "", nil
	}
	n.mu.Lock()
	o, ok := n.overrides[slotOf(key)]
	n.mu.Unlock()
	if ok && time.Since(o.at) < overrideTime {
		return o.addr, nil
	}
	c, err := n.cluster.MasterForKey(ctx, key)
	if err != nil {
		return "", fmt.Errorf("redisadapter: the masters of the Redis Cluster are unknown: %w", err)
	}
	return c.Options().Addr, nil
}

// one returns a server for what has no slot: always the same, until it has failed.
func (n *nodes) one(ctx context.Context) (string, error) {
	if n.cluster == nil {
		return "", nil
	}
	n.mu.Lock()
	chosen := n.chosen
	n.mu.Unlock()
	if chosen != "" {
		return chosen, nil
	}
	all, err := n.masters(ctx)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.chosen = slices.MinFunc(all, func(a, b string) int {
		return cmp.Or(n.trouble[a].Compare(n.trouble[b]), cmp.Compare(a, b))
	})
	return n.chosen, nil
}

// masters returns the addresses of all masters.
func (n *nodes) masters(ctx context.Context) ([]string, error) {
	if n.cluster == nil {
		return []string{""}, nil
	}
	var mu sync.Mutex
	var all []string
	err := n.cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c.Options().Addr)
		return nil
	})
	if err == nil && len(all) == 0 {
		err = errors.New("there are none")
	}
	if err != nil {
		return nil, fmt.Errorf("redisadapter: the masters of the Redis Cluster are unknown: %w", err)
	}
	return all, nil
}

// failed is called when a connection has failed, or could not be opened.
func (n *nodes) failed(ctx context.Context, addr string) {
	if n.cluster == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.chosen == addr {
		n.chosen = ""
	}
	for a, at := range n.trouble {
		if time.Since(at) > troubleTime {
			delete(n.trouble, a)
		}
	}
	n.trouble[addr] = time.Now()
	for slot, o := range n.overrides {
		if o.addr == addr || time.Since(o.at) >= overrideTime {
			delete(n.overrides, slot)
		}
	}
	n.cluster.ReloadState(ctx)
}

// moved notes what a server says about the owner of a key: "MOVED 3999 127.0.0.1:6381". It
// reports false if err is no such thing. from is the server that says so.
func (n *nodes) moved(ctx context.Context, from, key string, err error) (addr string, ok bool) {
	text, ok := strings.CutPrefix(err.Error(), "redis: MOVED ")
	_, addr, found := strings.Cut(text, " ")
	if !ok || !found || n.cluster == nil {
		return "", false
	}
	if strings.HasPrefix(addr, ":") { // the same host
		if i := strings.LastIndexByte(from, ':'); i >= 0 {
			addr = from[:i] + addr
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.overrides[slotOf(key)] = override{addr, time.Now()}
	n.cluster.ReloadState(ctx)
	return addr, true
}

// dial opens a connection with a server.
func (n *nodes) dial(ctx context.Context, addr string) (*conn, error) {
	if n.single != nil {
		return n.single.dial(ctx)
	}
	c, err := n.cluster.MasterForKey(ctx, addr) // any: all have the same options
	if err != nil {
		return nil, fmt.Errorf("redisadapter: the masters of the Redis Cluster are unknown: %w", err)
	}
	o := *c.Options()
	o.Addr = addr
	return (&server{options: &o, readTimeout: n.timeout}).dial(ctx)
}

// slots is the number of slots of a Redis Cluster.
const slots = 16384

// slotOf returns the slot of a key or a channel.
func slotOf(key string) uint16 {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if j := strings.IndexByte(key[i+1:], '}'); j > 0 {
			key = key[i+1 : i+1+j]
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % slots
}
