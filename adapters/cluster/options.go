package cluster

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"github.com/sioplug/sioplug/internal/misuse"
)

// Options are the settings that all brokers share. A zero value means the default.
type Options struct {
	// Name is what people read in [adapter.Member], "<host name>#<process id>" by
	// default.
	//
	// [adapter.Member]: https://pkg.go.dev/github.com/sioplug/sioplug/core/adapter#Member
	Name string

	// HeartbeatInterval is how often this server tells the others that it is there, 5
	// seconds by default.
	HeartbeatInterval time.Duration

	// HeartbeatTimeout is after how much silence another server is struck off, 10
	// seconds by default. All servers should have the same value.
	HeartbeatTimeout time.Duration

	// RequestsTimeout is how long a request to other servers waits if its context has no
	// deadline, 5 seconds by default. Only a broadcast with acks waits as long as its
	// clients are connected.
	RequestsTimeout time.Duration

	// MaxQueueBytes is how many bytes may wait for the broker while it is slow or gone,
	// 16 MiB by default.
	MaxQueueBytes int

	// DropOldest makes room in a full queue by dropping what has waited longest. By
	// default, a message that does not fit is not sent to other servers, and the call
	// returns [ErrQueueFull]. Either is counted.
	DropOldest bool
}

const (
	defaultHeartbeatInterval = 5 * time.Second
	defaultHeartbeatTimeout  = 10 * time.Second
	defaultRequestsTimeout   = 5 * time.Second
	defaultQueueBytes        = 16 << 20
)

func (o Options) withDefaults() Options {
	for name, v := range map[string]int64{
		"HeartbeatInterval": int64(o.HeartbeatInterval), "HeartbeatTimeout": int64(o.HeartbeatTimeout),
		"RequestsTimeout": int64(o.RequestsTimeout), "MaxQueueBytes": int64(o.MaxQueueBytes),
	} {
		if v < 0 {
			misuse.Panic(fmt.Sprintf("cluster: Options.%s is negative: leave it 0 for the default", name))
		}
	}
	o.HeartbeatInterval = cmp.Or(o.HeartbeatInterval, defaultHeartbeatInterval)
	o.HeartbeatTimeout = cmp.Or(o.HeartbeatTimeout, max(defaultHeartbeatTimeout, 2*o.HeartbeatInterval))
	o.RequestsTimeout = cmp.Or(o.RequestsTimeout, defaultRequestsTimeout)
	o.MaxQueueBytes = cmp.Or(o.MaxQueueBytes, defaultQueueBytes)
	if o.HeartbeatTimeout < o.HeartbeatInterval {
		misuse.Panic("cluster: Options.HeartbeatTimeout is shorter than HeartbeatInterval: make it twice as long")
	}
	if o.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		o.Name = fmt.Sprintf("%s#%d", host, os.Getpid())
	}
	return o
}
