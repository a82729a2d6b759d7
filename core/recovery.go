package sio

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/misuse"
)

// Recovery are the settings of connection state recovery (SIO section 10). A
// client whose connection was lost, and that connects again in time, keeps its
// id, its rooms and the values on its socket, and gets the events that it
// missed. [Socket.Recovered] tells that this happened. A client that comes too
// late, or has never been sent an event, gets a fresh socket instead; there is
// no error.
//
// A client gets the events that it would have got live, and no others, whatever offset
// it sends. It gets no events from before it connected, and none of a room from before
// it joined or after it left. Changes while it is away apply: those of [Broadcast.Join],
// [Broadcast.Leave], [Broadcast.Disconnect] and [Broadcast.Close], on any server of the
// cluster, and those of the methods of its old [Socket]. A client that was disconnected
// while it was away gets a fresh socket.
//
// Missed events are sent as fast as the client reads. If the connection is lost again
// before the client has taken any of them, it gets a fresh socket the next time. A
// record at Debug says so. Otherwise a client that refuses an event could never come
// back.
//
// Events with an ack, volatile events, and those of [Broadcast.DropOldest] and
// [Broadcast.Latest] are not kept. All other events carry one more
// argument, a string, by which clients know their offset. So the last argument of a
// volatile event should not be a string: clients would take it for an offset.
type Recovery struct {
	// MaxDisconnectionDuration is how long a client may be away, 2 minutes by
	// default. For that long its private id, with which the client authenticates
	// itself, stays valid.
	MaxDisconnectionDuration time.Duration

	// MaxBytes is how many bytes of events are kept for each namespace, 16 MiB
	// by default. The oldest go first, and with them the sessions that would
	// need them.
	MaxBytes int

	// RunMiddlewares runs the middleware of [Namespace.UseConnect] for recovered
	// clients, too. By default only the checks of [Ctx.OnRecover] run, which package
	// auth uses. In either case, an error that wraps [ErrNotRecovered] gives the client
	// a fresh socket, and any other error refuses it.
	RunMiddlewares bool

	// Log, if not nil, returns the log of a namespace, which keeps its events and
	// sessions. By default, that of [Options.Adapter] is used, if that is an
	// [adapter.LogProvider]: then clients can come back to any server. Otherwise it is a
	// log in this server's memory, so clients have to come back to the same server.
	Log func(namespace string) adapter.Log
}

const (
	defaultDisconnection = 2 * time.Minute
	defaultRecoveryBytes = 16 << 20

	// saveTimeout is how long a log may take to save a session, and claimTimeout
	// to give one back, after which the client gets a fresh one.
	saveTimeout  = 5 * time.Second
	claimTimeout = 5 * time.Second
)

func (r *Recovery) withDefaults(cluster adapter.Cluster) *Recovery {
	if r == nil {
		return nil
	}
	c := *r
	for name, v := range map[string]int64{
		"MaxDisconnectionDuration": int64(c.MaxDisconnectionDuration), "MaxBytes": int64(c.MaxBytes),
	} {
		if v < 0 {
			misuse.Panic(fmt.Sprintf("sio: Recovery.%s is negative: leave it 0 for the default", name))
		}
	}
	c.MaxDisconnectionDuration = cmp.Or(c.MaxDisconnectionDuration, defaultDisconnection)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultRecoveryBytes)
	if _, provides := cluster.(adapter.LogProvider); c.Log == nil && !provides {
		c.Log = func(string) adapter.Log {
			return adapter.NewMemoryLog(adapter.MemoryLogOptions{
				MaxAge: c.MaxDisconnectionDuration, MaxBytes: c.MaxBytes,
			})
		}
	}
	return &c
}

// logProvider returns the adapter if the servers of the cluster share a log, otherwise nil.
func (o *Options) logProvider() adapter.LogProvider {
	if o.ConnectionStateRecovery == nil || o.ConnectionStateRecovery.Log != nil {
		return nil
	}
	p, _ := o.Adapter.(adapter.LogProvider)
	return p
}
