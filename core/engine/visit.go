package engine

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// A visit is one request on its way through the server: its Exchange, with what
// CORS, middleware and hooks have to add to whatever the answer will be.
type visit struct {
	Exchange

	server  *Server
	upgrade bool        // it asks for a WebSocket
	origin  string      // the Origin header, "" if there is none
	allowed bool        // CORS lets pages of that origin in
	header  http.Header // of CORS and middleware, for any answer; may be nil
	plain   bool        // the answer is not to be compressed (EIO-HC-5)
	sid     string      // the id of the session that it opens, once it is known
	opened  *Session    // that ends if the request cannot be served to its end

	// Of the answer to a poll, guarded by the session's mu:
	session *Session
	size    int    // what it counts for in the outbox until it is sent
	next    *visit // in the session's list of answers
}

func (e *Server) visit(x Exchange) *visit {
	v := &visit{Exchange: x, server: e}
	v.init()
	return v
}

func (v *visit) init() {
	req := v.Request()
	v.upgrade = wantsUpgrade(req)
	v.origin = strings.Join(req.Header["Origin"], ", ")
}

// done completes a request. An error says that the goroutine that served it
// panicked or has ended, which some HTTP servers do not survive: fasthttp would end
// the process, or never serve the connection again.
func (v *visit) done(err error) {
	if err == nil {
		return
	}
	v.server.logError("serving a request failed", err)
	if v.opened != nil {
		v.opened.end(TransportError, err, farewell{discard: true})
	}
	if v.session != nil {
		v.sent() // or never will be
	}
	_ = rescue.Apart(func() error { // there may be nothing left to answer on
		v.hangUp()
		return nil
	})
}

// wantsUpgrade reports whether a request wants to become a WebSocket. Some HTTP
// clients, Java's among them, offer "Upgrade: h2c" with every request: a poll
// that does is a poll.
func wantsUpgrade(req *Request) bool {
	if !websocket.IsUpgrade(req.Header) {
		return false
	}
	return last(req.Query, "transport") != Polling || strings.EqualFold(req.Header.Get("Upgrade"), "websocket")
}

// add returns the header that goes with any answer, to be added to.
func (v *visit) add() http.Header {
	if v.header == nil {
		v.header = make(http.Header)
	}
	return v.header
}

// Respond implements [Exchange].
func (v *visit) Respond(res Response) error {
	res.Header = v.complete(res.Header)
	if res.Status == http.StatusOK { // as everything that polling answers, and nothing else
		if !v.plain {
			v.server.compressors.compress(v.Request(), &res)
		}
		res.Header = v.dress(res.Header)
	}
	return v.deliver(res)
}

// deliver sends an answer, for which its client has a limited time: as long as a
// session lives whose client is not heard of, and then can still be told.
func (v *visit) deliver(res Response) error {
	v.sendWithin(v.server.opts.PingInterval + v.server.opts.PingTimeout + closeTimeout)
	return v.Exchange.Respond(res)
}

func (v *visit) sendWithin(d time.Duration) {
	if s, ok := v.Exchange.(Sender); ok {
		s.SendWithin(d)
	}
}

// Upgrade implements [Exchange].
func (v *visit) Upgrade(header http.Header, open func(Upgraded) (run func())) error {
	header = v.complete(header)
	v.tell(header)
	return v.Exchange.Upgrade(header, open)
}

// complete returns the engine's own header, which is not changed, with what CORS
// and middleware set. The engine's wins where both have a say. What the answer
// depends on adds up.
func (v *visit) complete(own http.Header) http.Header {
	if len(v.header) == 0 {
		return own
	}
	own = editable(own)
	for k, vs := range v.header {
		if _, ok := own[k]; !ok || k == "Vary" {
			own[k] = append(own[k], vs...)
		}
	}
	return own
}

// editable returns a copy of a header that may be nil.
func editable(h http.Header) http.Header {
	if h == nil {
		return make(http.Header)
	}
	return h.Clone()
}

// dress returns a header with what only the answers of polling have (EIO section
// 8.1).
func (v *visit) dress(h http.Header) http.Header {
	agent := v.Request().Header.Get("User-Agent")
	explorer := strings.Contains(agent, ";MSIE") || strings.Contains(agent, "Trident/")
	opts := &v.server.opts
	cookie := opts.Cookie != nil && v.sid != ""
	if !explorer && !cookie && opts.OnInitialHeaders == nil && opts.OnHeaders == nil {
		return h
	}
	h = editable(h)
	if explorer {
		h.Set("X-XSS-Protection", "0") // EIO-HD-2: their filter mistakes payloads for an attack
	}
	if cookie {
		h.Add("Set-Cookie", opts.Cookie.header(v.cookieValue()))
	}
	v.tell(h)
	return h
}

// cookieValue returns the session id as the cookie has it.
func (v *visit) cookieValue() string {
	value := url.QueryEscape(v.sid)
	if encode := v.server.opts.Cookie.Encode; encode != nil {
		v.server.hook("Cookie.Encode", func() { value = encode(v.sid) })
	}
	return value
}

// tell calls the hooks for an answer that is about to be sent.
func (v *visit) tell(h http.Header) {
	opts := &v.server.opts
	if v.sid != "" && opts.OnInitialHeaders != nil {
		v.server.hook("OnInitialHeaders", func() { opts.OnInitialHeaders(h, v.Request()) })
	}
	if opts.OnHeaders != nil {
		v.server.hook("OnHeaders", func() { opts.OnHeaders(h, v.Request()) })
	}
}

// park lifts the limit that the HTTP server sets to a request, for a poll that
// is to wait.
func (v *visit) park() {
	p, ok := v.Exchange.(Parker)
	if !ok {
		return
	}
	if err := rescue.Call(p.Park); err != nil {
		v.server.once(&v.server.cannotPark, v.server.log.Error)("polls will be cut off: the HTTP server has a "+
			"WriteTimeout, and a middleware's http.ResponseWriter keeps it from being lifted: give that writer an Unwrap "+
			"method, or set WriteTimeout to 0 or above PingInterval (further failures are logged at Debug)", slog.Any("err", err))
	}
}

// once returns loud the first time, and Debug afterwards: for what operators
// have to know, and any client can bring about.
func (e *Server) once(said *atomic.Bool, loud func(msg string, args ...any)) func(msg string, args ...any) {
	if said.CompareAndSwap(false, true) {
		return loud
	}
	return e.log.Debug
}

// cancelRead has whoever reads the request's body stop.
func (v *visit) cancelRead() {
	a, ok := v.Exchange.(Aborter)
	if !ok {
		return
	}
	_ = rescue.Apart(func() error { // if it fails, the body ends with the request
		a.CancelRead()
		return nil
	})
}

// hangUp ends the exchange without an answer, as far as its server is able to.
func (v *visit) hangUp() {
	if a, ok := v.Exchange.(Aborter); ok {
		a.HangUp()
		return
	}
	respond(v, Response{Status: http.StatusBadRequest})
}

// hook calls a function that has no say in what happens next.
func (e *Server) hook(name string, f func()) {
	if err := rescue.Apart(func() error { f(); return nil }); err != nil {
		e.logFailure(name, err)
	}
}
