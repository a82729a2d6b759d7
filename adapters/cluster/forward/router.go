package forward

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/gate"
	"github.com/sioplug/sioplug/internal/rescue"
)

// Members are the servers of a cluster, as a [cluster.Cluster] knows them.
type Members interface { //nolint:interfacebloat // what a router needs of a cluster
	// Announce has this server tell the others its address.
	Announce(address string)

	// ServerID and Prefix return the id of this server, and the first characters of the ids
	// of its sessions.
	ServerID() string
	Prefix() string

	// Locate returns another server by its prefix, LocateServer by its id.
	Locate(prefix string) (l cluster.Location, found bool)
	LocateServer(id string) (l cluster.Location, found bool)

	// Relay sends data to another server over the broker, OnRelay takes such data.
	Relay(ctx context.Context, to string, data []byte) error
	OnRelay(f func(from string, data []byte))
}

// A Router forwards requests to the servers that have their sessions. It implements
// [engine.SessionRouter]. Each server needs a Router of its own, which it closes when it is
// shut down.
type Router struct {
	members  Members
	opts     Options
	secret   []byte
	listener net.Listener // nil if requests are forwarded over the broker, as server
	server   *http.Server
	serve    func(ctx context.Context, x engine.Exchange)
	engine   engine.Options
	log      *slog.Logger
	counters counters
	polls    polls
	received gate.Gate // requests of other servers

	// Over the broker:
	calls   calls
	senders senders
	kept    memory
	outbox  outbox
	sent    chan struct{} // closed when the outbox is not needed any more

	secretRefused atomic.Bool // and the log says so

	ctx     context.Context //nolint:containedctx // ends when the router is closed
	cancel  context.CancelFunc
	running sync.WaitGroup // goroutines of the router

	mu      sync.Mutex
	closed  bool
	started bool
	peers   map[string]*peer // by id
	tunnels map[*tunnel]struct{}
	pending int           // requests that are being forwarded
	idle    chan struct{} // closed when the router is closed and pending is 0
}

// A peer is another server, for as long as it is a member of the cluster.
type peer struct {
	location cluster.Location
	ctx      context.Context //nolint:containedctx // ends when the server has gone, or this router is closed
	cancel   context.CancelFunc

	mu   sync.Mutex
	idle []*conn // the one that was used last is at the end
}

// overBroker reports whether the server is only reached over the broker.
func (p *peer) overBroker() bool { return p.location.Address == "" }

const (
	// dialTimeout is how long a server that is said to be there may take to answer.
	dialTimeout = 3 * time.Second

	// idleTimeout is how long a connection between servers is kept. The one that makes the
	// connections closes them first: a request must not meet the end of its connection.
	idleTimeout = 90 * time.Second

	// maxIdle is how many connections to one server are kept that nobody uses.
	maxIdle = 1024

	// headerTimeout is how long a stranger may take for the header of a request.
	headerTimeout = 5 * time.Second

	// lastRequests is how long Close waits until other servers know that it serves no
	// requests any more.
	lastRequests = 200 * time.Millisecond

	// closeGrace is how long Close waits for forwarded requests.
	closeGrace = 2 * time.Second
)

// New returns a router for the servers of a cluster. It listens at once, and fails if it
// cannot. Set it as the SessionRouter of the server whose Adapter is the cluster.
func New(members Members, opts Options) (*Router, error) {
	if err := opts.withDefaults(); err != nil {
		return nil, err
	}
	r := &Router{
		members: members, opts: opts, secret: []byte(opts.Secret), sent: make(chan struct{}),
		peers: make(map[string]*peer), tunnels: make(map[*tunnel]struct{}), idle: make(chan struct{}),
	}
	if opts.Listen != "" {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", opts.Listen)
		if err != nil {
			return nil, err
		}
		address, err := opts.address(l)
		if err != nil {
			_ = l.Close()
			return nil, err
		}
		r.listener = l
		members.Announce(address)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.polls.init()
	r.outbox.init()
	r.calls.all, r.senders.all, r.senders.left = make(map[uint64]*call), make(map[string]*sender), make(chan struct{}, 1)
	members.OnRelay(r.relayed)
	return r, nil
}

// Start implements [engine.SessionRouter].
func (r *Router) Start(opts engine.Options, serve func(ctx context.Context, x engine.Exchange)) {
	r.engine, r.serve, r.log = opts, serve, rescue.Logger(opts.Logger)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed {
		panic("forward: a Router is for one server: make another one") //nolint:forbidigo // wrong registration
	}
	r.started = true
	r.running.Go(r.sendOutbox)
	if r.listener == nil {
		return
	}
	r.server = &http.Server{
		Handler:           http.HandlerFunc(r.receive),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       2 * idleTimeout,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
	r.running.Go(r.listen)
}

// listen serves the requests of other servers.
func (r *Router) listen() {
	var err error
	if r.opts.TLS != nil {
		config := r.opts.TLS.Clone()
		config.NextProtos = []string{"http/1.1"}
		r.server.TLSConfig = config
		err = r.server.ServeTLS(r.listener, "", "")
	} else {
		err = r.server.Serve(r.listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		r.log.Error("forward: other servers cannot reach this one any more", slog.Any("err", err))
	}
}

// randomLength is the number of random bytes of a session id.
const randomLength = 12

// NewID implements [engine.SessionRouter]. The id has 20 characters: the four of the prefix,
// and 96 random bits.
func (r *Router) NewID() string {
	var b [randomLength]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return r.members.Prefix() + base64.RawURLEncoding.EncodeToString(b[:])
}

// idLength is the length of the ids that NewID returns.
const idLength = cluster.PrefixLength + randomLength*8/6

// prefixOf returns the prefix of the server that has made a session's id, "" if it is no
// such id.
func prefixOf(sid string) string {
	if len(sid) != idLength {
		return ""
	}
	for i := range len(sid) {
		c := sid[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '-' && c != '_' {
			return ""
		}
	}
	return sid[:cluster.PrefixLength]
}

// Route implements [engine.SessionRouter].
func (r *Router) Route(sid string) engine.Route {
	prefix := prefixOf(sid)
	if prefix == "" {
		return nil
	}
	l, found := r.members.Locate(prefix)
	if !found {
		return nil
	}
	if p := r.peer(l); p != nil {
		return route{r, p}
	}
	return nil
}

// peer returns the other server at this location, nil if the router is closed.
func (r *Router) peer(l cluster.Location) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[l.Server]
	if p != nil && p.location == l {
		return p
	}
	if r.closed {
		return nil
	}
	p = &peer{location: l}
	p.ctx, p.cancel = context.WithCancel(r.ctx)
	r.peers[l.Server] = p
	r.running.Go(func() { r.watch(p) })
	return p
}

// watch ends what goes on with a server when that has gone.
func (r *Router) watch(p *peer) {
	tick := time.NewTicker(idleTimeout / 2)
	defer tick.Stop()
	for p.ctx.Err() == nil {
		select {
		case <-p.location.Gone:
			p.cancel()
			r.dropSender(p.location.Server)
		case <-p.ctx.Done():
		case now := <-tick.C:
			p.trim(now.Add(-idleTimeout))
		}
	}
	p.trim(time.Now().Add(time.Second))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers[p.location.Server] == p {
		delete(r.peers, p.location.Server)
	}
}

// begin notes that a request is being forwarded. If there is no error, done must be called.
func (r *Router) begin() (done func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, errClosed
	case r.pending >= r.opts.MaxRequests:
		r.counters.refused.Add(1)
		return nil, errBusy
	}
	r.pending++
	return r.end, nil
}

func (r *Router) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending--; r.pending == 0 && r.closed {
		close(r.idle)
	}
}

// The errors of requests that are not forwarded. The clients connect again.
var (
	errBusy   = &engine.HTTPError{Status: http.StatusServiceUnavailable, Err: errors.New("forward: MaxRequests are being forwarded")}
	errFull   = &engine.HTTPError{Status: http.StatusServiceUnavailable, Err: errors.New("forward: MaxTunnels WebSockets lead to other servers")}
	errClosed = &engine.HTTPError{Status: http.StatusServiceUnavailable, Err: errors.New("forward: the server is shutting down")}
)

// Close implements [engine.SessionRouter]. Other servers are asked to answer the polls that
// this one has forwarded, so that their clients lose nothing.
func (r *Router) Close(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	if r.pending == 0 {
		close(r.idle)
	}
	peers := make([]*peer, 0, len(r.peers))
	for _, p := range r.peers {
		peers = append(peers, p)
	}
	started := r.started
	r.mu.Unlock()
	if !started {
		r.cancel()
		if r.listener == nil {
			return nil
		}
		return r.listener.Close()
	}
	r.finish(ctx, peers)
	r.cancel()
	r.closeTunnels()
	err := r.closeServer(ctx)
	close(r.sent)
	ended := make(chan struct{})
	go func() { // ends with the router's goroutines: only the connection of a client may hang
		r.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		err = cmp.Or(err, ctx.Err())
	}
	return err
}

// closeServer waits for the requests of other servers, and closes the connections. Shutdown of
// net/http would wait for seconds for a connection on which no request has come.
func (r *Router) closeServer(ctx context.Context) error {
	select {
	case <-r.received.Close():
	case <-ctx.Done():
		if r.server == nil {
			return ctx.Err()
		}
		return cmp.Or(r.server.Close(), ctx.Err())
	}
	r.awaitConfirms(ctx)
	if r.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lastRequests)
	defer cancel()
	if r.server.Shutdown(ctx) == nil {
		return nil
	}
	return r.server.Close()
}

// finish waits a while for the requests that are being forwarded.
func (r *Router) finish(ctx context.Context, peers []*peer) {
	ctx, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	for _, p := range peers {
		r.running.Go(func() { r.release(ctx, p) })
	}
	select {
	case <-r.idle:
	case <-ctx.Done():
	}
}

var _ engine.SessionRouter = (*Router)(nil)
