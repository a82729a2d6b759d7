package enginetest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// A Request is one to make in memory. The zero Method is GET, and the header
// is complete: nothing is added.
type Request struct {
	Method  string
	Query   string
	Header  http.Header
	Body    io.Reader
	Chunked bool // the length of Body is not announced

	Host string // "server.test" if empty
	TLS  bool

	Ahead []byte // sent behind the request in the same packet

	// Context, if not nil, takes the place of the one that Call.Abort ends.
	Context context.Context //nolint:containedctx // as in http.Request

	// OnRespond, if set, is called before the answer leaves.
	OnRespond func()

	// UpgradeErr keeps the connection of a WebSocket request from being taken.
	UpgradeErr error
}

// An Answer is the response to a request. Its Status is 0 if there was none,
// because the request was aborted.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	At     time.Time
}

// A Call is a request on its way. It implements [engine.Exchange].
type Call struct {
	kit        *Kit
	req        engine.Request
	ctx        context.Context //nolint:containedctx // the request's own
	cancel     context.CancelFunc
	ahead      []byte
	upgradeErr error
	onRespond  func()
	done       chan struct{}

	client chan net.Conn

	mu      sync.Mutex
	answers []Answer
}

// Start makes a request, and returns without waiting for its answer.
func (k *Kit) Start(r Request) *Call {
	k.t.Helper()
	c := k.Prepare(r)
	k.running.Go(func() {
		defer close(c.done)
		defer c.cancel()
		k.Serve(c.ctx, c)
	})
	return c
}

// Prepare returns a request that the test has to have served itself.
func (k *Kit) Prepare(r Request) *Call {
	k.t.Helper()
	c := &Call{
		kit: k, ahead: r.Ahead, upgradeErr: r.UpgradeErr, onRespond: r.OnRespond,
		client: make(chan net.Conn, 1), done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if r.Context != nil {
		c.ctx = r.Context
	}
	c.req = engine.Request{
		Method: r.Method, Path: "/engine.io/", URI: "/engine.io/?" + r.Query, Host: "server.test",
		ClientIP: "192.0.2.1", Query: engine.ParseQuery(r.Query), Header: r.Header, Body: r.Body, TLS: r.TLS,
	}
	if r.Host != "" {
		c.req.Host = r.Host
	}
	if r.Method == "" {
		c.req.Method = http.MethodGet
	}
	if r.Header == nil {
		c.req.Header = http.Header{}
	}
	if known, ok := r.Body.(interface{ Len() int }); ok && !r.Chunked {
		c.req.ContentLength = int64(known.Len())
	} else if r.Body != nil {
		c.req.ContentLength = -1
	}
	k.mu.Lock()
	k.calls = append(k.calls, c)
	k.mu.Unlock()
	return c
}

// Do makes a request and waits for the answer.
func (k *Kit) Do(r Request) Answer {
	k.t.Helper()
	return k.Start(r).Wait()
}

// Request implements [engine.Exchange].
func (c *Call) Request() *engine.Request { return &c.req }

// Values implements [engine.Exchange].
func (c *Call) Values() context.Context { return c.ctx }

// Respond implements [engine.Exchange].
func (c *Call) Respond(res engine.Response) error {
	if c.onRespond != nil {
		c.onRespond()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, Answer{res.Status, res.Header, string(res.Body), time.Now()})
	return c.ctx.Err()
}

// Upgrade implements [engine.Exchange].
func (c *Call) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	if c.upgradeErr != nil {
		return c.upgradeErr
	}
	server, client := net.Pipe()
	c.mu.Lock()
	c.client <- client
	c.answers = append(c.answers, Answer{Status: http.StatusSwitchingProtocols, Header: header, At: time.Now()})
	c.mu.Unlock()
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := header.Write(&head); err != nil {
		return err
	}
	head.WriteString("\r\n")
	run := open(engine.Upgraded{Conn: server, Ahead: c.ahead, Head: head.Bytes()})
	c.kit.running.Go(run)
	return nil
}

// CancelRead implements [engine.Aborter]. It ends the waiting of a body that is
// an [io.PipeReader].
func (c *Call) CancelRead() {
	if p, ok := c.req.Body.(*io.PipeReader); ok {
		_ = p.CloseWithError(os.ErrDeadlineExceeded)
	}
}

// HangUp implements [engine.Aborter]. It makes an [Answer] of its own.
func (c *Call) HangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, Answer{Body: "hung up", At: time.Now()})
}

// Abort is the client going away.
func (c *Call) Abort() { c.cancel() }

// Answered reports whether the server has dealt with the request.
func (c *Call) Answered() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Wait waits until the server has dealt with the request and returns the
// answer.
func (c *Call) Wait() Answer {
	c.kit.t.Helper()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	switch len(c.answers) {
	case 0:
		return Answer{}
	case 1:
		return c.answers[0]
	default:
		c.kit.t.Errorf("%s %s was answered %d times: %v", c.req.Method, c.req.URI, len(c.answers), c.answers)
		return c.answers[0]
	}
}

// A Polling is a client that uses long-polling.
type Polling struct {
	*Peer

	SID string
	kit *Kit
}

// OpenPolling opens a session over polling.
func (k *Kit) OpenPolling() *Polling {
	k.t.Helper()
	a := k.Do(Request{Query: "EIO=4&transport=polling"})
	sid, ok := strings.CutPrefix(a.Body, `0{"sid":"`)
	sid, _, found := strings.Cut(sid, `"`)
	if !ok || !found {
		k.t.Fatalf("handshake: %d %q", a.Status, a.Body)
	}
	return &Polling{k.Peer(sid), sid, k}
}

// Query is the query of the client's requests.
func (p *Polling) Query() string { return "EIO=4&transport=polling&sid=" + p.SID }

// Poll starts a GET.
func (p *Polling) Poll() *Call {
	p.kit.t.Helper()
	return p.kit.Start(Request{Query: p.Query()})
}

// Get makes a GET and returns the answer as "status body".
func (p *Polling) Get() string {
	p.kit.t.Helper()
	return p.Poll().Wait().String()
}

// Post makes a POST and returns the answer as "status body".
func (p *Polling) Post(body string) string {
	p.kit.t.Helper()
	return p.kit.Do(Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader(body)}).String()
}

// Upgrade opens a WebSocket for the session, whose switch is up to the test.
func (p *Polling) Upgrade() *Conn {
	p.kit.t.Helper()
	return p.kit.Dial("EIO=4&transport=websocket&sid=" + p.SID)
}

// String returns "status body".
func (a Answer) String() string { return strings.TrimSpace(strconv.Itoa(a.Status) + " " + a.Body) }

// Handshake is the header of a WebSocket handshake.
func Handshake() http.Header {
	return http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Sec-Websocket-Version": {"13"},
	}
}

// Dial makes a WebSocket handshake in memory, which has to succeed.
func (k *Kit) Dial(query string) *Conn {
	k.t.Helper()
	return k.DialRequest(Request{Query: query, Header: Handshake()})
}

// DialRequest is Dial with all that a request may have.
func (k *Kit) DialRequest(r Request) *Conn {
	k.t.Helper()
	c := k.DialPaused(r)
	c.Resume()
	return c
}

// DialPaused is like DialRequest, but the client reads nothing behind the 101
// answer until [Conn.Resume].
func (k *Kit) DialPaused(r Request) *Conn {
	k.t.Helper()
	c, refused := k.TryDial(r)
	if c == nil {
		k.t.Fatalf("handshake refused: %v", refused)
	}
	return c
}

// TryDial is like DialPaused for a handshake that may be refused: then there is
// an answer and no connection.
func (k *Kit) TryDial(r Request) (*Conn, Answer) {
	k.t.Helper()
	call := k.Start(r)
	select {
	case nc := <-call.client:
		return k.NewConn(nc), Answer{}
	case <-call.done:
	}
	select {
	case nc := <-call.client: // was there too
		return k.NewConn(nc), Answer{}
	default:
		return nil, call.Wait()
	}
}
