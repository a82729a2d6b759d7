package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/internal/deadline"
	"github.com/sioplug/sioplug/core/internal/flush"
	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/gate"
	"github.com/sioplug/sioplug/core/internal/websocket"
)

// closeTimeout is how long a session that the server closed stays around for
// its client to fetch the news: the reference's closeTimeout (EIO-CL-4). A
// WebSocket that does not answer the close frame is cut after it.
const closeTimeout = 30 * time.Second

// partingTimeout is how long a polling session stays around that its client
// closed, for a poll that was sent before and is overtaken on the way: it is
// answered as if it had been parked.
const partingTimeout = time.Second

// A Server holds the sessions. It is safe for concurrent use.
type Server struct {
	opts Options
	open func(*Session) Handler

	// The handshake packets up to and behind the session id (EIO-HS-1).
	hello struct{ polling, websocket []byte }

	pings     *deadline.List[*Session]
	pongs     *deadline.List[*Session]
	farewells *deadline.List[*Session]
	partings  *deadline.List[*Session]
	upgrades  *deadline.List[*link]
	turns     *deadline.List[*link]
	writers   *flush.Workers[*Session]
	loops     gate.Gate // the read loops that run
	shards    atomic.Uint32

	mu       sync.RWMutex
	sessions map[string]*Session
}

// NewServer returns a server that calls open for every new session, before the
// client can hear of it, to learn who is told what happens to it.
func NewServer(opts Options, open func(*Session) Handler) *Server {
	e := &Server{opts: opts.withDefaults(), open: open, sessions: make(map[string]*Session)}
	e.hello.polling = e.helloTail(e.opts.upgrades())
	e.hello.websocket = e.helloTail([]string{})
	epoch := time.Now()
	e.pings = deadline.NewList(epoch, e.opts.PingInterval, (*Session).ping)
	e.pongs = deadline.NewList(epoch, e.opts.PingTimeout, (*Session).pongOverdue)
	e.farewells = deadline.NewList(epoch, closeTimeout, (*Session).cut)
	e.partings = deadline.NewList(epoch, partingTimeout, (*Session).cut)
	e.upgrades = deadline.NewList(epoch, e.opts.UpgradeTimeout, (*link).abandon)
	e.turns = deadline.NewList(epoch, patience, (*link).handOver)
	e.writers = flush.NewWorkers((*Session).flush)
	return e
}

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
// when the client has gone away.
func (e *Server) Serve(ctx context.Context, x Exchange) {
	req := x.Request()
	upgrade := websocket.IsUpgrade(req.Header)
	s, ref := e.verify(req, upgrade)
	switch {
	case ref != nil:
		e.refuse(x, ref, upgrade)
	case upgrade:
		e.serveUpgrade(x, s)
	case s == nil:
		e.openPolling(x)
	case req.Method == http.MethodGet:
		s.servePoll(ctx, x)
	case req.Method == http.MethodPost:
		s.servePost(x)
	default:
		// EIO-MT-2: the reference answers 500, which says less.
		respond(x, Response{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET, POST"}}})
	}
}

// verify checks a request in the order of EIO section 3 and finds the session
// that it belongs to; nil means that it asks for a new one.
func (e *Server) verify(req *Request, upgrade bool) (*Session, *refusal) {
	transport := last(req.Query, "transport")
	if (transport != Polling && transport != WebSocket) || !e.opts.allows(transport) {
		return nil, unknownTransport()
	}
	if !headerLegal(req.Header.Get("Origin")) {
		return nil, badRequest("INVALID_ORIGIN")
	}
	if sid := last(req.Query, "sid"); sid != "" {
		s := e.find(sid)
		switch {
		case s == nil || !s.exists():
			return nil, unknownSession()
		case upgrade && req.Method != http.MethodGet:
			return s, nil // the WebSocket handshake has its own answer: EIO-WS-2
		case upgrade && transport != WebSocket, !upgrade && transport != s.Transport():
			return nil, badRequest("TRANSPORT_MISMATCH")
		case last(req.Query, "EIO") != "4":
			return nil, badRequest("PROTOCOL_MISMATCH")
		}
		return s, nil
	}
	switch {
	case req.Method != http.MethodGet:
		return nil, badMethod()
	case upgrade != (transport == WebSocket): // EIO-VF-7, EIO-WS-20
		return nil, badRequest("TRANSPORT_HANDSHAKE_ERROR")
	case last(req.Query, "EIO") != "4":
		return nil, unsupportedVersion()
	}
	return nil, nil
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

func (e *Server) refuse(x Exchange, ref *refusal, upgrade bool) {
	e.opts.Logger.Debug("request refused", "code", ref.code, "err", ref.message, "cause", ref.name)
	respond(x, ref.response(upgrade))
}

// respond sends an answer whose loss needs no action: the client has gone.
func respond(x Exchange, res Response) { _ = x.Respond(res) }

func (e *Server) find(sid string) *Session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.sessions[sid]
}

// ClientsCount returns the number of sessions.
func (e *Server) ClientsCount() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.sessions)
}

// newSession creates a session that nobody knows of yet.
func (e *Server) newSession(x Exchange) *Session {
	req := x.Request()
	req.Body = nil // not ours once the request is over
	s := &Session{
		server:  e,
		id:      NewID(),
		request: req,
		values:  x.Values(),
		shard:   e.shards.Add(1),
	}
	return s
}

// register makes a session known, unless the server is closing.
func (e *Server) register(s *Session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loops.Closed() {
		return false
	}
	e.sessions[s.id] = s
	return true
}

func (e *Server) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s.id)
}

// NewID returns a random session id: 15 bytes as 20 characters of the URL-safe
// base64 alphabet, a form that other software relies on (EIO-HS-4).
func NewID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Shutdown refuses new sessions, closes all others, waits until their
// connections are done, and cuts those off that are not done when ctx ends;
// it then returns the context's error.
func (e *Server) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	done := e.loops.Close() // under mu: no session registers after we looked
	sessions := slices.Collect(maps.Values(e.sessions))
	e.mu.Unlock()
	for _, s := range sessions {
		s.end(ForcedClose, nil, farewell{discard: true})
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, s := range sessions {
			s.cut()
		}
		<-done
		return ctx.Err()
	}
}
