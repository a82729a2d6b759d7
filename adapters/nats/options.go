package natsadapter

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/internal/misuse"
)

// A SubscriptionMode is which subjects servers subscribe to.
type SubscriptionMode string

// The subscription modes.
const (
	// Static has one subject for each namespace. Every server gets all messages, and has
	// few subscriptions.
	Static SubscriptionMode = "static"

	// Dynamic has a subject for each room too, except for the rooms of single sockets,
	// whose names have 20 bytes. A server gets messages to a room only if it has clients
	// there.
	Dynamic SubscriptionMode = "dynamic"

	// DynamicPrivate has a subject for each room, also for those of single sockets.
	DynamicPrivate SubscriptionMode = "dynamic-private"
)

// Options are the options of [New]. A zero value means the default.
type Options struct {
	cluster.Options

	// SubjectPrefix is the beginning of all subjects, "sio" by default. It may have several
	// tokens, as in "myapp.sio". All servers and emitters must have the same.
	SubjectPrefix string

	// SubscriptionMode is [Dynamic] by default. All servers and emitters must have the
	// same.
	SubscriptionMode SubscriptionMode

	// MaxPendingBytes is how many bytes of messages of other servers may wait until this
	// server has read them, 64 MiB by default. More are dropped, which is one of the gaps
	// in adapter.Status.
	MaxPendingBytes int
}

// EmitterOptions are the options of [NewEmitter]. A zero value means the default.
type EmitterOptions struct {
	SubjectPrefix    string           // as Options.SubjectPrefix of the servers
	SubscriptionMode SubscriptionMode // as Options.SubscriptionMode of the servers
}

const (
	defaultPrefix          = "sio"
	defaultMaxPendingBytes = 64 << 20
)

// New returns an adapter that uses nc. It does not close nc, which other servers and the
// application can use as well. nc must not have the option NoEcho. Each server needs an
// adapter of its own. New panics if an option is wrong.
func New(nc *nats.Conn, opts ...Options) *cluster.Cluster {
	o := one("New", opts)
	checkConn("New", nc)
	if nc.Opts.NoEcho {
		misuse.Panic("natsadapter: New: the connection has the option NoEcho: leave it out, or this server does not hear its own heartbeats")
	}
	if o.MaxPendingBytes < 0 {
		misuse.Panic("natsadapter: New: MaxPendingBytes is negative: leave it 0 for the default")
	}
	o.MaxPendingBytes = cmp.Or(o.MaxPendingBytes, defaultMaxPendingBytes)
	s := newSubjects("New", o.SubjectPrefix, o.SubscriptionMode)
	return cluster.New(func() cluster.Broker { return newBroker(nc, s, o.MaxPendingBytes) }, o.Options)
}

// one returns the only value of options.
func one[T any](function string, opts []T) (o T) {
	switch len(opts) {
	case 0:
	case 1:
		o = opts[0]
	default:
		misuse.Panic(fmt.Sprintf("natsadapter: %s: %d values of options: pass at most one", function, len(opts)))
	}
	return o
}

func checkConn(function string, nc *nats.Conn) {
	if nc == nil {
		misuse.Panic(fmt.Sprintf("natsadapter: %s: the connection is nil: pass the result of nats.Connect", function))
	}
}

func newSubjects(function, prefix string, mode SubscriptionMode) subjects {
	s := subjects{prefix: cmp.Or(prefix, defaultPrefix), mode: cmp.Or(mode, Dynamic)}
	for t := range strings.SplitSeq(s.prefix, ".") {
		if token(t) != t || t == "" || len(s.prefix) > maxToken {
			misuse.Panic(fmt.Sprintf("natsadapter: %s: SubjectPrefix %q is no subject: take letters and digits, with dots between them", function, prefix))
		}
	}
	switch s.mode {
	case Static, Dynamic, DynamicPrivate:
	default:
		misuse.Panic(fmt.Sprintf("natsadapter: %s: there is no SubscriptionMode %q: use Static, Dynamic or DynamicPrivate", function, mode))
	}
	return s
}
