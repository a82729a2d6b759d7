package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/flush"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/gate"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// closeTimeout is how long a session that the server closed stays around for
// its client to fetch the news: the reference's closeTimeout (EIO-CL-4). A
// WebSocket that does not answer the close frame is cut after it.
const closeTimeout = 30 * time.Second

// upgradingCloseTimeout is how long a polling session stays around when the server goes
// away and its client, on the way from polling to another connection, has no poll
// open by which it could be told.
const upgradingCloseTimeout = time.Second

// A Server holds the sessions. It is safe for concurrent use.
type Server struct {
	opts       Options
	newHandler func(*Session) Handler
	log        *slog.Logger // that of the options, as it may be used anywhere
	epoch      time.Time    // from which the times of sessions count

	deflate *websocket.Deflate // nil if WebSocket messages are not compressed

	// The handshake packets up to and behind the session id (EIO-HS-1).
	openTail struct{ polling, websocket []byte }

	pingTimers           *deadline.List[*Session]
	pongTimers           *deadline.List[*Session]
	clientPingTimers     *deadline.List[*Session] // of revision 3, where clients ping
	closeTimers          *deadline.List[*Session]
	upgradingCloseTimers *deadline.List[*Session]
	upgradeTimers        *deadline.List[*wsTransport]
	turnTimers           []*deadline.List[*wsTransport] // one for each processor, because every message goes through one
	flushers             *flush.Workers[*Session]
	readLoops            gate.Gate // the read loops that run
	nextShard            atomic.Uint32
	clients              atomic.Int64 // sessions that are open

	initialPacket *frame.Frame // Options.InitialPacket; nil if there is none
	compressors   *compressors

	// What was said once.
	originWarned    atomic.Bool // about a refused origin
	upgradeFailed   atomic.Bool
	parkFailed      atomic.Bool
	failedFunctions sync.Map // the names of functions of the options that have failed

	mu           sync.RWMutex
	sessions     map[string]*Session
	closingConns map[*wsTransport]struct{} // see trackClosingConn; nil until there is one
	closingAll   bool                      // Shutdown's time is up
}

// NewServer returns a server that calls open for every new session, before the
// client can hear of it, to learn who is told what happens to it.
func NewServer(opts Options, open func(*Session) Handler) *Server {
	e := &Server{opts: withDefaults(opts), newHandler: open, sessions: make(map[string]*Session)}
	e.log = rescue.Logger(e.opts.Logger)
	e.deflate = e.opts.PerMessageDeflate.compile()
	e.openTail.polling = e.openPacketTail(e.opts.upgrades())
	e.openTail.websocket = e.openPacketTail([]string{})
	e.initialPacket = initialPacketFrame(e.opts.InitialPacket)
	e.compressors = newCompressors(&e.opts)
	e.epoch = time.Now()
	epoch := e.epoch
	e.pingTimers = deadline.NewList(epoch, e.opts.PingInterval, (*Session).pingDue)
	e.pongTimers = deadline.NewList(epoch, e.opts.PingTimeout, (*Session).pongOverdue)
	e.clientPingTimers = deadline.NewList(epoch, e.opts.PingInterval+e.opts.PingTimeout, (*Session).clientPingOverdue)
	e.closeTimers = deadline.NewList(epoch, closeTimeout, (*Session).closeTimedOut)
	e.upgradingCloseTimers = deadline.NewList(epoch, upgradingCloseTimeout, (*Session).closeTimedOut)
	e.upgradeTimers = deadline.NewList(epoch, e.opts.UpgradeTimeout, (*wsTransport).upgradeTimedOut)
	e.turnTimers = make([]*deadline.List[*wsTransport], runtime.GOMAXPROCS(0))
	for i := range e.turnTimers {
		e.turnTimers[i] = deadline.NewList(epoch, maxTurn, (*wsTransport).turnTimedOut)
	}
	e.flushers = flush.NewWorkers((*Session).flush)
	return e
}

// now returns the time since the epoch.
func (e *Server) now() time.Duration { return time.Since(e.epoch) }

// Options returns the options in force. What they refer to must not be changed.
func (e *Server) Options() Options { return e.opts }

func (e *Server) openPacketTail(upgrades []string) []byte {
	tail, err := json.Marshal(struct {
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{upgrades, e.opts.PingInterval.Milliseconds(), e.opts.PingTimeout.Milliseconds(), e.opts.MaxHTTPBufferSize})
	if err != nil {
		return nil // cannot happen: strings and integers
	}
	return tail[1:] // what follows the session id
}

// openPacket returns the open packet.
func (e *Server) openPacket(id string, tail []byte) *frame.Frame {
	const head = `0{"sid":"`
	buf := append(frame.Buffer(len(head)+len(id)+2+len(tail)), head...)
	buf = append(append(buf, id...), `",`...)
	return frame.Text(append(buf, tail...))
}

// Serve answers one request to the server's path. It returns when the answer
// is sent: for a poll, when there is something to tell the client. ctx ends
// when the client has gone away; polls are answered before its deadline, if it
// has one.
func (e *Server) Serve(ctx context.Context, x Exchange) {
	hx := &httpExchange{Exchange: x, server: e}
	rescue.Do(func() error {
		hx.init()
		e.serve(ctx, hx)
		return nil
	}, hx.finish)
}

func (e *Server) serve(ctx context.Context, x *httpExchange) {
	s, ref := e.verify(x)
	if !x.upgrade {
		x.session = s
	}
	switch method := x.Request().Method; {
	case ref != nil:
		e.refuse(x, ref)
	case x.upgrade:
		e.serveUpgrade(x, s)
	case s == nil:
		e.openPolling(x)
	case method == http.MethodGet:
		s.servePoll(ctx, x)
	case method == http.MethodPost:
		s.servePost(x)
	default:
		// EIO-MT-2: the reference answers 500, which says less.
		respond(x, Response{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET, POST"}}})
	}
}

// verify checks a request in the order of EIO section 3 and finds the session
// that it belongs to; nil means that it asks for a new one, which is allowed and
// has its id.
func (e *Server) verify(x *httpExchange) (*Session, *refusal) {
	if ref := e.applyCORS(x); ref != nil {
		return nil, ref
	}
	if ref := e.runMiddleware(x); ref != nil {
		return nil, ref
	}
	req := x.Request()
	transport := last(req.Query, "transport")
	if (transport != Polling && transport != WebSocket) || !e.opts.allows(transport) {
		return nil, unknownTransport(transport)
	}
	if !headerLegal(x.origin) {
		return nil, badRequest("INVALID_ORIGIN", "origin", x.origin)
	}
	if ref := e.checkOrigin(x); ref != nil {
		return nil, ref
	}
	if sid := last(req.Query, "sid"); sid != "" {
		return e.verifySession(x, sid, transport)
	}
	if size := handshakeSize(req); size > e.opts.MaxHandshakeBytes {
		return nil, handshakeTooLarge(size, e.opts.MaxHandshakeBytes)
	}
	if dialectOf(req.Query).has(jsonp) {
		if ref := e.checkJSONPOrigin(x); ref != nil {
			return nil, ref
		}
	}
	if req.Method != http.MethodGet {
		return nil, badMethod(req.Method)
	}
	if x.upgrade != (transport == WebSocket) { // EIO-VF-7, EIO-WS-20
		return nil, badRequest("TRANSPORT_HANDSHAKE_ERROR")
	}
	if ref := e.callAllowRequest(x); ref != nil {
		return nil, ref
	}
	if p := protocolOf(req.Query); p != 4 && !e.opts.AllowEIO3 {
		return nil, unsupportedVersion(p)
	}
	return nil, e.assignID(x)
}

// verifySession is for requests that belong to a session.
func (e *Server) verifySession(x *httpExchange, sid, transport string) (*Session, *refusal) {
	s := e.lookup(sid)
	if s == nil || !s.exists() {
		return nil, unknownSession(sid)
	}
	req := x.Request()
	if x.upgrade && req.Method != http.MethodGet {
		return s, nil // the WebSocket handshake has its own answer: EIO-WS-2
	}
	current := s.Transport()
	if (x.upgrade && transport != WebSocket) || (!x.upgrade && transport != current) {
		return nil, transportMismatch(transport, current)
	}
	if p := protocolOf(req.Query); p != s.Protocol() {
		return nil, badRequest("PROTOCOL_MISMATCH", "protocol", p, "previousProtocol", s.Protocol())
	}
	if s.dialect.has(jsonp) && !x.upgrade {
		return s, e.checkJSONPOrigin(x)
	}
	return s, nil
}

// last returns the last value of a repeated key, as the reference does
// (EIO-RT-6).
func last(q url.Values, key string) string {
	if v := q[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// headerLegal reports whether v has only characters that a header may have
// (EIO-VF-2).
func headerLegal(v string) bool {
	for i := range len(v) {
		if c := v[i]; c != '\t' && (c < 0x20 || c == 0x7F) {
			return false
		}
	}
	return true
}

// respond sends an answer whose loss needs no action: the client has gone.
func respond(x Exchange, res Response) { _ = x.Respond(res) }

func (e *Server) lookup(sid string) *Session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.sessions[sid]
}

// ClientsCount returns the number of open sessions. One that has ended does not
// count from the moment on when its handler is told, even if its client has yet to
// fetch the news, or its connection to be closed.
func (e *Server) ClientsCount() int { return int(e.clients.Load()) }

// newSession creates a session that nobody knows of yet.
func (e *Server) newSession(x *httpExchange) *Session {
	req := x.Request()
	s := &Session{
		server:    e,
		id:        x.sid,
		handshake: newHandshakeRequest(req),
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

// A noHandler is the handler of a session for which there is none yet.
type noHandler struct{}

// Message implements [Handler].
func (noHandler) Message(bool, []byte) {}

// Close implements [Handler].
func (noHandler) Close(Reason, error) {}

// register makes a session known, unless the server is closing or has another
// one of that name since we looked.
func (e *Server) register(s *Session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.readLoops.Closed() || e.sessions[s.id] != nil {
		return false
	}
	e.sessions[s.id] = s
	return true
}

func (e *Server) unregister(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.id] == s {
		delete(e.sessions, s.id)
	}
}

// trackClosingConn notes a connection that is left to end by itself and carries no
// session that Shutdown could find.
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

// NewID returns a random session id: 15 bytes as 20 characters of the URL-safe
// base64 alphabet, a form that other software relies on (EIO-HS-4).
func NewID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}
