package forward

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
)

// receive answers a request of another server.
func (r *Router) receive(w http.ResponseWriter, req *http.Request) {
	h, err := readHead(req.Header[headName], r.secret)
	if err != nil {
		r.counters.strangers.Add(1)
		r.log.DebugContext(req.Context(), "a request without the secret was refused", slog.String("address", req.RemoteAddr))
		w.Header().Set("Connection", "close") // the body is not read
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set(headName, "1")
	if h.to != r.members.ServerID() || !r.received.Enter() { // its address was that of another server before
		w.WriteHeader(http.StatusMisdirectedRequest)
		return
	}
	defer r.received.Leave()
	if h.method == methodRelease {
		r.polls.release(h.from)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.counters.received.Add(1)
	r.answer(w, req, &h)
}

// answer has this server answer the request of a client.
func (r *Router) answer(w http.ResponseWriter, req *http.Request, h *head) {
	x := &exchange{Exchange: nethttp.New(w, req)}
	h.request(x.Request())
	x.body = &countedBody{Reader: http.MaxBytesReader(w, req.Body, int64(h.limit)), left: req.ContentLength}
	x.Request().Body = x.body
	ctx := req.Context() //nolint:contextcheck // it is the one of the request
	if h.within > 0 {
		limited, cancel := context.WithTimeout(ctx, h.within)
		defer cancel()
		ctx = limited
	}
	if h.method == http.MethodGet && req.Header.Get("Upgrade") == "" {
		p := r.polls.add(ctx, h.from)
		defer r.polls.remove(h.from, p)
		ctx = p
	}
	r.serve(ctx, x)
}

// An exchange is a request of a client at the server that has the session.
type exchange struct {
	*nethttp.Exchange

	body *countedBody
}

// Respond implements [engine.Exchange]. Before net/http answers, it reads the rest of the body,
// unless it closes the connection. The rest may never come.
func (x *exchange) Respond(res engine.Response) error {
	if !x.body.ended && x.body.left != 0 {
		res.Header = res.Header.Clone()
		if res.Header == nil {
			res.Header = make(http.Header)
		}
		res.Header.Set("Connection", "close")
	}
	return x.Exchange.Respond(res)
}

// A countedBody is a request's body that knows whether it was read to its end.
type countedBody struct {
	io.Reader

	left  int64 // negative if it is not known
	ended bool
}

// Read implements [io.Reader].
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.left -= int64(n)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// polls are the polls that other servers have forwarded, by the ids of these servers.
type polls struct {
	mu     sync.Mutex
	parked map[string]map[*poll]struct{}
}

func (p *polls) init() { p.parked = make(map[string]map[*poll]struct{}) }

// A poll is the context of one. When it is released, it ends as if its time was up: then the
// engine answers the poll, and the session goes on.
type poll struct {
	context.Context //nolint:containedctx // it is one

	cancel   context.CancelFunc
	released atomic.Bool
}

// Err implements [context.Context].
func (p *poll) Err() error {
	if p.released.Load() {
		return context.DeadlineExceeded
	}
	return p.Context.Err()
}

func (p *polls) add(ctx context.Context, from string) *poll {
	q := new(poll)
	q.Context, q.cancel = context.WithCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parked[from] == nil {
		p.parked[from] = make(map[*poll]struct{})
	}
	p.parked[from][q] = struct{}{}
	return q
}

func (p *polls) remove(from string, q *poll) {
	q.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.parked[from], q)
	if len(p.parked[from]) == 0 {
		delete(p.parked, from)
	}
}

// release ends the polls that a server has forwarded.
func (p *polls) release(from string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q := range p.parked[from] {
		q.released.Store(true)
		q.cancel()
	}
}
