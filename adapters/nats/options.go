package natsadapter

import (
	"cmp"
	"fmt"
	"strings"
	"time"

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

// JetStreamOptions are the options of [NewJetStream]. A zero value means the default.
type JetStreamOptions struct {
	cluster.Options

	// SubjectPrefix is the beginning of all subjects, "sio" by default. All servers and
	// emitters must have the same.
	SubjectPrefix string

	// StreamName is the name of the stream of messages, by default SubjectPrefix with "-"
	// instead of dots. The stream of sessions has the same name with "-sessions" behind it. A
	// server creates the streams if they do not exist. It does not change existing ones.
	StreamName string

	// Domain is the JetStream domain of the streams, none by default.
	Domain string

	// Replicas is how many servers of NATS keep the streams: 1 by default, 3 or 5 if they
	// have to work while one of these is down.
	Replicas int

	// MemoryStorage keeps the streams in the memory of NATS, not in files.
	MemoryStorage bool

	// MaxAge is how long the stream keeps messages. By default it is twice the
	// MaxDisconnectionDuration of the servers: it takes time to notice that a client has gone.
	MaxAge time.Duration

	// MaxBytes bounds each of the two streams, 64 MiB by default. NATS reserves that much. The
	// oldest messages and sessions go first. Clients that would need them get fresh sessions.
	MaxBytes int64

	// MaxSessions is how many sessions the cluster keeps, 100,000 by default. The oldest go
	// first.
	MaxSessions int

	// AckTimeout is how long JetStream may take to store messages, 5 seconds by default. Then
	// they count as lost, and later ones take core NATS until JetStream works again.
	AckTimeout time.Duration

	// MaxPendingBytes is how many bytes of messages of other servers may wait until this
	// server has read them, 64 MiB by default. It reads more from the stream.
	MaxPendingBytes int
}

// sessionsName is the name of the stream of sessions.
func (o *JetStreamOptions) sessionsName() string { return o.StreamName + "-sessions" }

// apiPrefix begins the subjects of the API of JetStream.
func (o *JetStreamOptions) apiPrefix() string {
	if o.Domain != "" {
		return "$JS." + o.Domain + ".API."
	}
	return "$JS.API."
}

// JetStreamEmitterOptions are the options of [NewJetStreamEmitter]. A zero value means the
// default.
type JetStreamEmitterOptions struct {
	SubjectPrefix string // as JetStreamOptions.SubjectPrefix of the servers
	StreamName    string // as JetStreamOptions.StreamName of the servers
}

// EmitterOptions are the options of [NewEmitter]. A zero value means the default.
type EmitterOptions struct {
	SubjectPrefix    string           // as Options.SubjectPrefix of the servers
	SubscriptionMode SubscriptionMode // as Options.SubscriptionMode of the servers
}

const (
	defaultPrefix          = "sio"
	defaultMaxPendingBytes = 64 << 20
	defaultMaxBytes        = 64 << 20
	defaultMaxSessions     = 100_000
	defaultAckTimeout      = 5 * time.Second

	// minAckTimeout is longer than a busy server of NATS takes, and minMaxAge than JetStream
	// allows.
	minAckTimeout = 100 * time.Millisecond
	minMaxAge     = time.Second
)

// NewJetStream is [New] for servers that send messages through a stream of JetStream. Servers
// that were disconnected for a while read what they have missed. If the servers have connection
// state recovery, clients can come back to any of them. It needs NATS 2.10 or newer. All servers
// read all messages of the cluster: rooms have no subjects of their own.
func NewJetStream(nc *nats.Conn, opts ...JetStreamOptions) *JetStreamCluster {
	const function = "NewJetStream"
	o := misuse.One("natsadapter", function, opts)
	checkServerConn(function, nc)
	for name, v := range map[string]int64{
		"Replicas": int64(o.Replicas), "MaxAge": int64(o.MaxAge), "MaxBytes": o.MaxBytes, "MaxSessions": int64(o.MaxSessions),
		"AckTimeout": int64(o.AckTimeout), "MaxPendingBytes": int64(o.MaxPendingBytes),
	} {
		if v < 0 {
			misuse.Panic(fmt.Sprintf("natsadapter: NewJetStream: %s is negative: leave it 0 for the default", name))
		}
	}
	checkShortest("AckTimeout", o.AckTimeout, minAckTimeout)
	checkShortest("MaxAge", o.MaxAge, minMaxAge)
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.MaxBytes = cmp.Or(o.MaxBytes, defaultMaxBytes)
	o.MaxSessions = cmp.Or(o.MaxSessions, defaultMaxSessions)
	o.AckTimeout = cmp.Or(o.AckTimeout, defaultAckTimeout)
	o.MaxPendingBytes = cmp.Or(o.MaxPendingBytes, defaultMaxPendingBytes)
	s := newSubjects(function, o.SubjectPrefix, Static)
	o.StreamName = streamName(function, o.StreamName, s)
	if token(o.Domain) != o.Domain && o.Domain != "" {
		misuse.Panic(fmt.Sprintf("natsadapter: NewJetStream: Domain %q is no domain: take letters and digits", o.Domain))
	}
	logs := new(jetLogs)
	return &JetStreamCluster{cluster.New(func() cluster.Broker { return newJetStream(nc, s, o, logs) }, o.Options), logs}
}

func checkShortest(name string, d, shortest time.Duration) {
	if d != 0 && d < shortest {
		misuse.Panic(fmt.Sprintf("natsadapter: NewJetStream: %s is %v: use at least %v, or 0 for the default", name, d, shortest))
	}
}

// streamName returns the name of the stream of messages.
func streamName(function, name string, s subjects) string {
	name = cmp.Or(name, strings.NewReplacer(".", "-", "/", "-").Replace(s.prefix))
	if token(name) != name || strings.ContainsAny(name, "/") {
		misuse.Panic(fmt.Sprintf("natsadapter: %s: StreamName %q is no name of a stream: take letters, digits and \"-\"", function, name))
	}
	return name
}

// New returns an adapter that uses nc. It does not close nc, which other servers and the
// application can use as well. nc must not have the option NoEcho. Each server needs an
// adapter of its own. New panics if an option is wrong.
func New(nc *nats.Conn, opts ...Options) *cluster.Cluster {
	o := misuse.One("natsadapter", "New", opts)
	checkServerConn("New", nc)
	if o.MaxPendingBytes < 0 {
		misuse.Panic("natsadapter: New: MaxPendingBytes is negative: leave it 0 for the default")
	}
	o.MaxPendingBytes = cmp.Or(o.MaxPendingBytes, defaultMaxPendingBytes)
	s := newSubjects("New", o.SubjectPrefix, o.SubscriptionMode)
	return cluster.New(func() cluster.Broker { return newBroker(nc, s, o.MaxPendingBytes) }, o.Options)
}

func checkConn(function string, nc *nats.Conn) {
	if nc == nil {
		misuse.Panic(fmt.Sprintf("natsadapter: %s: the connection is nil: pass the result of nats.Connect", function))
	}
}

// checkServerConn checks the connection of a server.
func checkServerConn(function string, nc *nats.Conn) {
	checkConn(function, nc)
	if nc.Opts.NoEcho {
		misuse.Panic(fmt.Sprintf("natsadapter: %s: the connection has the option NoEcho: leave it out, or this server does not hear its own heartbeats", function))
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
