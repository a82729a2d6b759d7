package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/flush"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/gate"
	"github.com/sioplug/sioplug/internal/parking"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// closeTimeout is how long the server waits for a client to read the end of its
// session: the reference's closeTimeout (EIO-CL-4). After that it forgets a polling
// session, and closes a WebSocket whose peer has not answered the close frame.
const closeTimeout = 30 * time.Second

// upgradingCloseTimeout is the same for a client in the middle of an upgrade when the
// server shuts down: it has stopped polling, and may not complete the upgrade.
const upgradingCloseTimeout = time.Second

// A Server holds the sessions. It is safe for concurrent use.
type Server struct {
	opts       Options
	newHandler func(*Session) Handler
	log        *slog.Logger // Options.Logger, behind the edge
	epoch      time.Time    // the times of sessions are durations since then

	deflate *websocket.Deflate // nil if WebSocket messages are not compressed

	// openTail has the open packets for both transports, from behind the session id.
	openTail struct{ polling, websocket []byte }

	pingTimers           *deadline.List[*Session]
	pongTimers           *deadline.List[*Session]
	clientPingTimers     *deadline.List[*Session] // revision 3, where clients ping
	closeTimers          *deadline.List[*Session]
	upgradingCloseTimers *deadline.List[*Session]
	upgradeTimers        *deadline.List[*wsTransport]
	answerTimers         *deadline.List[*httpExchange]
	holdTimers           *deadline.List[*httpExchange]
	turnTimers           turnTimers
	quickTurnTimers      turnTimers // of turns that are expected to be short
	flushers             *flush.Pool[*Session]
	readLoops            gate.Gate    // WebSockets that are read, or parked
	lot                  *parking.Lot // for WebSockets that are idle; nil without Options.ParkIdle
	nextShard            atomic.Uint32
	observer             atomic.Pointer[Observer]
	observing            gate.Gate    // calls of the observer that nobody waits for but Shutdown
	clients              atomic.Int64 // sessions that are open
	drops                dropCounters // messages that were left out
	webSockets           atomic.Int64 // those of them whose transport is WebSocket

	initialPacket *frame.Frame // Options.InitialPacket; nil if there is none
	compressors   *compressors

	// What has been logged above Debug: see logOnce.
	originWarned    atomic.Bool // a WebSocket or a poll of a page of another origin
	upgradeFailed   atomic.Bool
	parkFailed      atomic.Bool
	failedFunctions sync.Map // names of functions of the options

	common commonParts // of the requests that opened sessions

	mu           sync.RWMutex
	sessions     map[string]*Session
	refusing     atomic.Bool               // new sessions are refused; written under mu
	closingConns map[*wsTransport]struct{} // see trackClosingConn; nil until there is one
	closingAll   bool                      // the context of Shutdown has ended
	forgotten    traffic                   // of sessions that are not in the table any more
}

// NewServer returns a server. It calls open for each new session, before the client
// is sent the open packet. The handler that open returns receives the session's events.
func NewServer(opts Options, open func(*Session) Handler) *Server {
	e := &Server{opts: withDefaults(opts), newHandler: open, sessions: make(map[string]*Session)}
	e.log = rescue.Logger(e.opts.Logger)
	e.observer.Store(e.opts.Observer)
	e.deflate = e.opts.PerMessageDeflate.compile()
	e.openTail.polling = e.openPacketTail(e.opts.upgrades())
	e.openTail.websocket = e.openPacketTail([]string{})
	e.initialPacket = initialPacketFrame(e.opts.InitialPacket)
	e.compressors = newCompressors(&e.opts)
	e.epoch = time.Now()
	epoch := e.epoch
	e.pingTimers = deadline.NewList(epoch, e.opts.PingInterval, (*Session).pingDue)
	e.pingTimers.AllowEarly(e.opts.PingInterval / pingsTogether)
	e.pongTimers = deadline.NewList(epoch, e.opts.PingTimeout, (*Session).pongOverdue)
	e.clientPingTimers = deadline.NewList(epoch, e.opts.PingInterval+e.opts.PingTimeout, (*Session).clientPingOverdue)
	e.closeTimers = deadline.NewList(epoch, closeTimeout, (*Session).closeTimedOut)
	e.upgradingCloseTimers = deadline.NewList(epoch, upgradingCloseTimeout, (*Session).closeTimedOut)
	e.upgradeTimers = deadline.NewList(epoch, e.opts.UpgradeTimeout, (*wsTransport).upgradeTimedOut)
	e.answerTimers = deadline.NewList(epoch, e.opts.PingInterval+e.opts.PingTimeout+closeTimeout, (*httpExchange).answerOverdue)
	e.answerTimers.KeepTimer()
	e.holdTimers = deadline.NewList(epoch, maxHold, (*httpExchange).releasePolls)
	e.holdTimers.KeepTimer()
	e.turnTimers, e.quickTurnTimers = newTurnTimers(epoch, maxTurn), newTurnTimers(epoch, maxQuickTurn)
	e.flushers = flush.NewPool((*Session).flush)
	if e.opts.ParkIdle {
		e.lot = new(parking.Lot)
	}
	if r := e.opts.SessionRouter; r != nil {
		r.Start(e.opts, e.ServeForwarded)
	}
	return e
}

// now returns the time since the epoch.
func (e *Server) now() time.Duration { return time.Since(e.epoch) }

// Options returns the options in force. What they refer to must not be changed.
func (e *Server) Options() Options { return e.opts }

// Serve answers one request to the server's path. It returns when the answer is sent.
// A poll is answered when there is a packet for the client, and before the deadline of
// ctx, if it has one. ctx has to end when the client goes away.
func (e *Server) Serve(ctx context.Context, x Exchange) {
	e.serveExchange(ctx, &httpExchange{Exchange: x, server: e})
}

func (e *Server) serveExchange(ctx context.Context, x *httpExchange) {
	rescue.Do(func() error {
		x.init()
		e.serve(ctx, x)
		return nil
	}, x.finish)
}

func (e *Server) serve(ctx context.Context, x *httpExchange) {
	s, ref := e.verify(x)
	if !x.upgrade {
		x.session = s
	}
	switch method := x.Request().Method; {
	case ref != nil:
		e.refuse(x, ref)
	case x.route != nil:
		e.forward(ctx, x)
	case x.upgrade:
		e.serveUpgrade(x, s)
	case s == nil:
		e.openPolling(x)
	case method == http.MethodGet:
		s.servePoll(ctx, x)
	case method == http.MethodPost:
		s.servePost(x)
	default:
		e.refuseMethod(x)
	}
}

// refuseMethod is EIO-MT-2: the reference answers 500, which says less.
func (e *Server) refuseMethod(x *httpExchange) {
	e.observeRefused(x, RequestRefusedInfo{Code: CodeNone, Name: "METHOD", Status: http.StatusMethodNotAllowed})
	respond(x, Response{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET, POST"}}})
}

// Respond answers a request with a response of the caller's, and with the headers of
// CORS. If CORS answers the request itself, as it does for a preflight, res is not
// sent.
func (e *Server) Respond(x Exchange, res Response) error {
	hx := e.newExchange(x)
	if ref := e.applyCORS(hx); ref != nil {
		e.refuse(hx, ref)
		return nil
	}
	res.Header = hx.mergeHeader(res.Header)
	return hx.deliver(res)
}

// respond sends an answer. An error means that the client has gone, and nothing is
// left to do.
func respond(x Exchange, res Response) { _ = x.Respond(res) }

func (e *Server) lookup(sid string) *Session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.sessions[sid]
}

// remembered returns the number of sessions that requests may refer to, or whose
// connection is not closed.
func (e *Server) remembered() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.sessions)
}

// Lockable returns when the table of sessions can be locked: at once, unless there is a
// deadlock. It is for probes.
func (e *Server) Lockable() {
	e.mu.RLock()
	defer e.mu.RUnlock()
}

// ClientsCount returns the number of open sessions. A session stops counting before
// [Handler.Close] is called, even if its client does not know yet that it has ended.
func (e *Server) ClientsCount() int { return int(e.clients.Load()) }

// newSession creates a session. It is not registered yet.
func (e *Server) newSession(x *httpExchange) *Session {
	req := x.Request()
	s := &Session{
		server:    e,
		id:        x.sid,
		handshake: newHandshakeRequest(req, &e.common),
		handler:   noHandler{},
		shard:     e.nextShard.Add(1),
		dialect:   dialectOf(req.Query),
		openedAt:  time.Since(e.epoch),
	}
	s.queue.init()
	x.session = s
	s.values = x.Values()
	return s
}

// register adds a session to the table, so that requests find it. It reports false if
// the server is closing, or if another session got the same id meanwhile.
func (e *Server) register(s *Session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refusing.Load() || e.sessions[s.id] != nil {
		return false
	}
	e.sessions[s.id] = s
	return true
}

// forgetLocked removes the session from the table. Its traffic becomes the server's.
func (s *Session) forgetLocked() {
	e := s.server
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.id] == s {
		delete(e.sessions, s.id)
		e.forgotten.add(s.traffic)
		s.forgotten = true
	}
}

// trackClosingConn adds a connection that is being closed and carries no session.
// Shutdown closes it if that takes too long.
func (e *Server) trackClosingConn(t *wsTransport) {
	t.tracked = true
	e.mu.Lock()
	cut := e.closingAll
	if e.closingConns == nil {
		e.closingConns = make(map[*wsTransport]struct{})
	}
	e.closingConns[t] = struct{}{}
	e.mu.Unlock()
	if cut {
		_ = t.conn.Close()
	}
}

func (e *Server) untrackClosingConn(t *wsTransport) {
	if !t.tracked {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.closingConns, t)
}

// NewID returns a random session id: 15 bytes as 20 characters of the URL-safe base64
// alphabet, the form of the JavaScript server.
func NewID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}
