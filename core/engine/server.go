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

// partingTimeout is how long a polling session stays around when the server goes
// away and its client, on the way from polling to another connection, has no poll
// open by which it could be told.
const partingTimeout = time.Second

// A Server holds the sessions. It is safe for concurrent use.
type Server struct {
	opts  Options
	open  func(*Session) Handler
	log   *slog.Logger // that of the options, as it may be used anywhere
	epoch time.Time    // from which the times of sessions count

	deflate *websocket.Deflate // nil if WebSocket messages are not compressed

	// The handshake packets up to and behind the session id (EIO-HS-1).
	hello struct{ polling, websocket []byte }

	pings       *deadline.List[*Session]
	pongs       *deadline.List[*Session]
	clientPings *deadline.List[*Session] // of revision 3, where clients ping
	farewells   *deadline.List[*Session]
	partings    *deadline.List[*Session]
	upgrades    *deadline.List[*link]
	turns       []*deadline.List[*link] // one for each processor, because every message goes through one
	writers     *flush.Workers[*Session]
	loops       gate.Gate // the read loops that run
	shards      atomic.Uint32
	clients     atomic.Int64 // sessions that are open

	greeting    *frame.Frame // Options.InitialPacket; nil if there is none
	compressors *compressors

	// What was said once.
	warned        atomic.Bool // about a refused origin, or one that polls
	cannotUpgrade atomic.Bool
	cannotPark    atomic.Bool
	failed        sync.Map // the names of functions of the options that have failed

	mu       sync.RWMutex
	sessions map[string]*Session
	strays   map[*link]struct{} // see addStray; nil until there is one
	cutting  bool               // Shutdown's time is up
}

// NewServer returns a server that calls open for every new session, before the
// client can hear of it, to learn who is told what happens to it.
func NewServer(opts Options, open func(*Session) Handler) *Server {
	e := &Server{opts: withDefaults(opts), open: open, sessions: make(map[string]*Session)}
	e.log = rescue.Logger(e.opts.Logger)
	e.deflate = e.opts.PerMessageDeflate.compile()
	e.hello.polling = e.helloTail(e.opts.upgrades())
	e.hello.websocket = e.helloTail([]string{})
	e.greeting = greeting(e.opts.InitialPacket)
	e.compressors = newCompressors(&e.opts)
	e.epoch = time.Now()
	epoch := e.epoch
	e.pings = deadline.NewList(epoch, e.opts.PingInterval, (*Session).ping)
	e.pongs = deadline.NewList(epoch, e.opts.PingTimeout, (*Session).pongOverdue)
	e.clientPings = deadline.NewList(epoch, e.opts.PingInterval+e.opts.PingTimeout, (*Session).pingOverdue)
	e.farewells = deadline.NewList(epoch, closeTimeout, (*Session).cut)
	e.partings = deadline.NewList(epoch, partingTimeout, (*Session).cut)
	e.upgrades = deadline.NewList(epoch, e.opts.UpgradeTimeout, (*link).abandon)
	e.turns = make([]*deadline.List[*link], runtime.GOMAXPROCS(0))
	for i := range e.turns {
		e.turns[i] = deadline.NewList(epoch, patience, (*link).handOver)
	}
	e.writers = flush.NewWorkers((*Session).flush)
	return e
}

// now returns the time since the epoch.
func (e *Server) now() time.Duration { return time.Since(e.epoch) }

// Options returns the options in force. What they refer to must not be changed.
func (e *Server) Options() Options { return e.opts }

func (e *Server) helloTail(upgrades []string) []byte {
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

// hi returns the open packet.
func (e *Server) hi(id string, tail []byte) *frame.Frame {
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
	v := &visit{Exchange: x, server: e}
	rescue.Do(func() error {
		v.init()
		e.serve(ctx, v)
		return nil
	}, v.done)
}

func (e *Server) serve(ctx context.Context, v *visit) {
	s, ref := e.verify(v)
	if !v.upgrade {
		v.opened = s
	}
	switch method := v.Request().Method; {
	case ref != nil:
		e.refuse(v, ref)
	case v.upgrade:
		e.serveUpgrade(v, s)
	case s == nil:
		e.openPolling(v)
	case method == http.MethodGet:
		s.servePoll(ctx, v)
	case method == http.MethodPost:
		s.servePost(v)
	default:
		// EIO-MT-2: the reference answers 500, which says less.
		respond(v, Response{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET, POST"}}})
	}
}

// verify checks a request in the order of EIO section 3 and finds the session
// that it belongs to; nil means that it asks for a new one, which is allowed and
// has its id.
func (e *Server) verify(v *visit) (*Session, *refusal) {
	if ref := e.cors(v); ref != nil {
		return nil, ref
	}
	if ref := e.middleware(v); ref != nil {
		return nil, ref
	}
	req := v.Request()
	transport := last(req.Query, "transport")
	if (transport != Polling && transport != WebSocket) || !e.opts.allows(transport) {
		return nil, unknownTransport(transport)
	}
	if !headerLegal(v.origin) {
		return nil, badRequest("INVALID_ORIGIN", "origin", v.origin)
	}
	if ref := e.guardOrigin(v); ref != nil {
		return nil, ref
	}
	if sid := last(req.Query, "sid"); sid != "" {
		return e.verifySession(v, sid, transport)
	}
	if size := openingSize(req); size > e.opts.MaxHandshakeBytes {
		return nil, tooLarge(size, e.opts.MaxHandshakeBytes)
	}
	if dialectOf(req.Query).has(jsonp) {
		if ref := e.guardScript(v); ref != nil {
			return nil, ref
		}
	}
	if req.Method != http.MethodGet {
		return nil, badMethod(req.Method)
	}
	if v.upgrade != (transport == WebSocket) { // EIO-VF-7, EIO-WS-20
		return nil, badRequest("TRANSPORT_HANDSHAKE_ERROR")
	}
	if ref := e.allow(v); ref != nil {
		return nil, ref
	}
	if p := protocolOf(req.Query); p != 4 && !e.opts.AllowEIO3 {
		return nil, unsupportedVersion(p)
	}
	return nil, e.name(v)
}

// verifySession is for requests that belong to a session.
func (e *Server) verifySession(v *visit, sid, transport string) (*Session, *refusal) {
	s := e.find(sid)
	if s == nil || !s.exists() {
		return nil, unknownSession(sid)
	}
	req := v.Request()
	if v.upgrade && req.Method != http.MethodGet {
		return s, nil // the WebSocket handshake has its own answer: EIO-WS-2
	}
	current := s.Transport()
	if (v.upgrade && transport != WebSocket) || (!v.upgrade && transport != current) {
		return nil, transportMismatch(transport, current)
	}
	if p := protocolOf(req.Query); p != s.Protocol() {
		return nil, badRequest("PROTOCOL_MISMATCH", "protocol", p, "previousProtocol", s.Protocol())
	}
	if s.dialect.has(jsonp) && !v.upgrade {
		return s, e.guardScript(v)
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

func (e *Server) find(sid string) *Session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.sessions[sid]
}

// ClientsCount returns the number of open sessions. One that has ended does not
// count from the moment on when its handler is told, even if its client has yet to
// fetch the news, or its connection to be closed.
func (e *Server) ClientsCount() int { return int(e.clients.Load()) }

// newSession creates a session that nobody knows of yet.
func (e *Server) newSession(v *visit) *Session {
	req := v.Request()
	s := &Session{
		server:  e,
		id:      v.sid,
		opening: newOpening(req),
		handler: noHandler{},
		shard:   e.shards.Add(1),
		dialect: dialectOf(req.Query),
		begun:   time.Since(e.epoch),
	}
	s.out.init()
	v.opened = s
	s.values = v.Values()
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
	if e.loops.Closed() || e.sessions[s.id] != nil {
		return false
	}
	e.sessions[s.id] = s
	return true
}

func (e *Server) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.id] == s {
		delete(e.sessions, s.id)
	}
}

// addStray notes a connection that is left to end by itself and carries no
// session that Shutdown could find.
func (e *Server) addStray(l *link) {
	l.stray = true
	e.mu.Lock()
	cut := e.cutting
	if e.strays == nil {
		e.strays = make(map[*link]struct{})
	}
	e.strays[l] = struct{}{}
	e.mu.Unlock()
	if cut {
		_ = l.conn.Close()
	}
}

func (e *Server) forgetStray(l *link) {
	if !l.stray {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.strays, l)
}

// NewID returns a random session id: 15 bytes as 20 characters of the URL-safe
// base64 alphabet, a form that other software relies on (EIO-HS-4).
func NewID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}
