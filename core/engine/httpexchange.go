package engine

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// An httpExchange is one request on its way through the server: the Exchange of the
// HTTP server, and what CORS, middleware and hooks add to the answer.
type httpExchange struct {
	Exchange

	server        *Server
	upgrade       bool        // the request asks for a WebSocket
	origin        string      // the Origin header, "" if there is none
	originAllowed bool        // by CORS
	header        http.Header // of CORS and middleware, for any answer; may be nil
	uncompressed  bool        // the answer must not be compressed (EIO-HC-5)
	sid           string      // the id of the session that the request opens, once it is known
	session       *Session    // ends if the request cannot be served to its end; may be nil
	route         Route       // to the server that has the session; nil if this one serves the request
	forwarded     bool        // by another server, which has let it in

	// The time for sending the answer: see deliver.
	answerTimer deadline.Item[*httpExchange]
	answerMu    sync.Mutex
	answered    bool // it has been sent, or never will be; guarded by answerMu

	// The answer to a poll, guarded by the session's mu:
	pollSession *Session
	answerSize  int           // counts in the send queue until the answer is sent
	nextAnswer  *httpExchange // in Session.unsentAnswers

	// The answer to a POST that holds polls: see holdPolls.
	postSession *Session // nil if it holds none
	holdTimer   deadline.Item[*httpExchange]
	holdsPolls  bool // guarded by the session's mu
}

func (e *Server) newExchange(x Exchange) *httpExchange {
	hx := &httpExchange{Exchange: x, server: e}
	hx.init()
	return hx
}

func (x *httpExchange) init() {
	req := x.Request()
	x.upgrade = wantsUpgrade(req)
	x.origin = strings.Join(req.Header["Origin"], ", ")
}

// finish completes a request. err says that the goroutine that served it panicked or
// has ended. Some HTTP servers do not survive that: fasthttp would end the process, or
// never serve the connection again.
func (x *httpExchange) finish(err error) {
	if err == nil {
		return
	}
	x.server.logError("serving a request failed", err)
	if x.session != nil {
		x.session.end(TransportError, err, endByError)
	}
	x.sent(nil) // or it never will be

	_ = rescue.Apart(func() error { // the exchange may be broken, too
		x.hangUp()
		return nil
	})
}

// wantsUpgrade reports whether a request asks for a WebSocket. Some HTTP clients, for
// example Java's, offer "Upgrade: h2c" with every request. A poll with that header is
// a poll.
func wantsUpgrade(req *Request) bool {
	if !websocket.IsUpgrade(req.Header) {
		return false
	}
	return last(req.Query, "transport") != Polling || strings.EqualFold(req.Header.Get("Upgrade"), "websocket")
}

// responseHeader returns the header that is sent with any answer. Callers add to it.
func (x *httpExchange) responseHeader() http.Header {
	if x.header == nil {
		x.header = make(http.Header)
	}
	return x.header
}

// Respond implements [Exchange].
func (x *httpExchange) Respond(res Response) error {
	res.Header = x.mergeHeader(res.Header)
	if res.Status == http.StatusOK { // all answers of polling, and no others
		if !x.uncompressed {
			x.server.compressors.compress(x.Request(), &res)
		}
		res.Header = x.addPollingHeaders(res.Header)
	}
	return x.deliver(res)
}

// deliver sends an answer. The client has a limited time to read it: as long as a
// session lives without a sign of life, and then until the close timeout. The time is in a
// list of the server's, because nearly all answers leave at once, and to set a deadline of
// the connection and lift it again would cost more.
func (x *httpExchange) deliver(res Response) error {
	s, ok := x.Exchange.(Sender)
	if ok {
		x.server.answerTimers.Set(&x.answerTimer, x)
		s.OnSent(x.sent)
	}
	err := x.Exchange.Respond(res)
	if !ok {
		x.sent(err)
	}
	return err
}

// sent is called when an answer has left, or never will.
func (x *httpExchange) sent(err error) {
	if x.pollSession != nil {
		x.answerSent(err)
	}
	x.postAnswered()
	x.endAnswer()
}

func (x *httpExchange) endAnswer() {
	x.answerTimer.Stop()
	x.answerMu.Lock() // answerOverdue may have begun
	defer x.answerMu.Unlock()
	x.answered = true
}

// answerOverdue gives up an answer that has not left in time.
func (x *httpExchange) answerOverdue() {
	x.answerMu.Lock()
	defer x.answerMu.Unlock()
	if !x.answered {
		x.sendWithin(0)
	}
}

func (x *httpExchange) sendWithin(d time.Duration) {
	if s, ok := x.Exchange.(Sender); ok {
		s.SendWithin(d)
	}
}

// Upgrade implements [Exchange].
func (x *httpExchange) Upgrade(header http.Header, open func(Upgraded) (run func())) error {
	header = x.mergeHeader(header)
	x.callHeaderHooks(header)
	return x.Exchange.Upgrade(header, open)
}

// mergeHeader returns the engine's own header together with what CORS and middleware
// set. If both set a field, the engine's counts; Vary has both. own is not changed.
func (x *httpExchange) mergeHeader(own http.Header) http.Header {
	if len(x.header) == 0 {
		return own
	}
	own = cloneHeader(own)
	for k, vs := range x.header {
		if _, ok := own[k]; !ok || k == "Vary" {
			own[k] = append(own[k], vs...)
		}
	}
	return own
}

// cloneHeader returns a copy of a header that may be nil.
func cloneHeader(h http.Header) http.Header {
	if h == nil {
		return make(http.Header)
	}
	return h.Clone()
}

// addPollingHeaders returns a header with the fields that only answers of polling have
// (EIO section 8.1).
func (x *httpExchange) addPollingHeaders(h http.Header) http.Header {
	agent := x.Request().Header.Get("User-Agent")
	explorer := strings.Contains(agent, ";MSIE") || strings.Contains(agent, "Trident/")
	opts := &x.server.opts
	cookie := opts.Cookie != nil && x.sid != ""
	if !explorer && !cookie && opts.OnInitialHeaders == nil && opts.OnHeaders == nil {
		return h
	}
	h = cloneHeader(h)
	if explorer {
		h.Set("X-XSS-Protection", "0") // EIO-HD-2: the browser's filter mistakes payloads for an attack
	}
	if cookie {
		h.Add("Set-Cookie", opts.Cookie.header(x.cookieValue()))
	}
	x.callHeaderHooks(h)
	return h
}

// cookieValue returns the session id as the cookie has it.
func (x *httpExchange) cookieValue() string {
	value := url.QueryEscape(x.sid)
	if encode := x.server.opts.Cookie.Encode; encode != nil {
		x.server.callHook("Cookie.Encode", func() { value = encode(x.sid) })
	}
	return value
}

// callHeaderHooks calls the hooks for the header of an answer.
func (x *httpExchange) callHeaderHooks(h http.Header) {
	opts := &x.server.opts
	if x.sid != "" && opts.OnInitialHeaders != nil {
		x.server.callHook("OnInitialHeaders", func() { opts.OnInitialHeaders(h, x.Request()) })
	}
	if opts.OnHeaders != nil {
		x.server.callHook("OnHeaders", func() { opts.OnHeaders(h, x.Request()) })
	}
}

// park lifts the time limit of the HTTP server, for a poll that is going to wait.
func (x *httpExchange) park() {
	p, ok := x.Exchange.(Parker)
	if !ok {
		return
	}
	if err := rescue.Call(p.Park); err != nil {
		x.server.logOnce(&x.server.parkFailed, x.server.log.Error)("polls will be cut off: the HTTP server has a "+
			"WriteTimeout, and a middleware's http.ResponseWriter keeps it from being lifted: give that writer an Unwrap "+
			"method, or set WriteTimeout to 0 or above PingInterval (further failures are logged at Debug)", slog.Any("err", err))
	}
}

// logOnce returns loud the first time, and Debug afterwards. It is for log lines that
// operators need and that any client can cause.
func (e *Server) logOnce(logged *atomic.Bool, loud func(msg string, args ...any)) func(msg string, args ...any) {
	if logged.CompareAndSwap(false, true) {
		return loud
	}
	return e.log.Debug
}

// cancelRead ends the reading of the request's body.
func (x *httpExchange) cancelRead() {
	a, ok := x.Exchange.(Aborter)
	if !ok {
		return
	}
	_ = rescue.Apart(func() error { // if it fails, the body ends with the request
		a.CancelRead()
		return nil
	})
}

// hangUp ends the exchange without an answer, if its server is able to.
func (x *httpExchange) hangUp() {
	if a, ok := x.Exchange.(Aborter); ok {
		a.HangUp()
		return
	}
	respond(x, Response{Status: http.StatusBadRequest})
}

// callHook calls a function of the options that has no result.
func (e *Server) callHook(name string, f func()) {
	if err := rescue.Apart(func() error { f(); return nil }); err != nil {
		e.logFailure(name, err)
	}
}
