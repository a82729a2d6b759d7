package sio

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// Recovery are the settings of connection state recovery (SIO section 10). A
// client whose connection was lost, and that connects again in time, keeps its
// id, its rooms and the values on its socket, and gets the events that it
// missed. [Socket.Recovered] tells that this happened. A client that comes too
// late, or has never been sent an event, gets a fresh socket instead; there is
// no error.
//
// A client gets what it would have got live, and nothing else, whatever it claims to
// have got: nothing from before it connected, nor from a room before it joined that,
// or after it left. What is done to it while it is away counts: by [Broadcast.Join],
// [Broadcast.Leave], [Broadcast.Disconnect] and [Broadcast.Close], by other servers
// of the cluster, and by the methods of its [Socket], if somebody still has that. A
// client that was disconnected while it was away gets a fresh socket.
//
// What it missed is sent as fast as it reads. If it takes nothing of that before its
// connection is lost again, it gets a fresh socket the next time, and a record at
// Debug says so: it might refuse an event, and would never come back.
//
// Events that want an ack, and volatile ones, are not kept. All others carry one
// more argument, a string, which tells clients how far they have come; so the
// last argument of a volatile event should not be a string, which clients would
// take for that.
type Recovery struct {
	// MaxDisconnectionDuration is how long a client may be away, 2 minutes by
	// default. For that long its private id, with which the client authenticates
	// itself, stays valid.
	MaxDisconnectionDuration time.Duration

	// MaxBytes is how many bytes of events are kept for each namespace, 16 MiB
	// by default. The oldest go first, and with them the sessions that would
	// need them.
	MaxBytes int

	// RunMiddlewares has [Namespace.UseConnect] middleware run for recovered
	// clients, too. By default they are not asked again who they are, except by
	// middleware that insists on it ([Ctx.OnRecover]), as that of package auth does.
	// In either case an error that wraps [ErrNotRecovered] has a recovered client
	// begin anew, with a fresh socket, and any other error refuses it.
	RunMiddlewares bool

	// Log, if not nil, returns what keeps the events and sessions of a
	// namespace. By default that is this server's memory, so clients have to
	// come back to the same server.
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

func (r *Recovery) withDefaults() *Recovery {
	if r == nil {
		return nil
	}
	c := *r
	for name, v := range map[string]int64{
		"MaxDisconnectionDuration": int64(c.MaxDisconnectionDuration), "MaxBytes": int64(c.MaxBytes),
	} {
		if v < 0 {
			misuse(fmt.Sprintf("Recovery.%s is negative: leave it 0 for the default", name))
		}
	}
	c.MaxDisconnectionDuration = cmp.Or(c.MaxDisconnectionDuration, defaultDisconnection)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultRecoveryBytes)
	if c.Log == nil {
		c.Log = func(string) adapter.Log {
			return adapter.NewMemoryLog(adapter.MemoryLogOptions{
				MaxAge: c.MaxDisconnectionDuration, MaxBytes: c.MaxBytes,
			})
		}
	}
	return &c
}
