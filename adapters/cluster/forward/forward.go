package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// A route leads to another server. It implements [engine.Route].
type route struct {
	router *Router
	peer   *peer
}

// maxAnswer is how large the answer to a poll can be. A server sends what is queued for the
// client, which is limited by MaxSendBuffer, except for its last message.
const maxAnswer = 256 << 20

// errSecret is the error of a server that does not know the secret.
var errSecret = errors.New("forward: the other server does not accept the signature, or is none of ours")

// Forward implements [engine.Route].
func (t route) Forward(ctx context.Context, x engine.Exchange, upgrade bool) (err error) {
	r := t.router
	overBroker := t.peer.overBroker()
	if overBroker && upgrade {
		r.counters.refused.Add(1)
		return errUpgrade
	}
	done, err := r.begin()
	if err != nil {
		return err
	}
	defer done()
	r.counters.forwarded.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(t.peer.ctx, cancel) //nolint:contextcheck // either of the two ends it
	defer stop()
	switch {
	case upgrade:
		err = t.upgrade(ctx, x)
	case overBroker:
		err = t.exchangeOverBroker(ctx, x)
	default:
		err = t.exchange(ctx, x)
	}
	if err == nil {
		return nil
	}
	r.counters.failed.Add(1)
	switch {
	case errors.Is(err, errSecret):
		r.logSecret(t.peer)
		return err
	case r.ctx.Err() != nil:
		return errClosed
	case t.peer.ctx.Err() != nil || !overBroker && ctx.Err() == nil && t.gone(ctx): // the session has gone with its server
		return engine.ErrNoSession
	}
	return err
}

// logSecret says that the servers do not have the same secret. Any request can show that, so
// it is logged once.
func (r *Router) logSecret(p *peer) {
	log := r.log.Debug
	if r.secretRefused.CompareAndSwap(false, true) {
		log = r.log.Error
	}
	log("forward: another server refuses forwarded requests: all servers need the same Options.Secret, and TLS on all or on none "+
		"(further failures are logged at Debug)", slog.String("server", p.location.Server), slog.String("address", p.location.Address))
}

// exchange forwards a poll or a POST, and its answer.
func (t route) exchange(ctx context.Context, x engine.Exchange) error {
	req := x.Request()
	if req.ContentLength > int64(t.router.engine.MaxHTTPBufferSize) {
		return answer(x, engine.Response{Status: http.StatusRequestEntityTooLarge})
	}
	h := headOf(req)
	h.setTime(ctx)
	in := t.router.bodyOf(req, x)
	var response engine.Response
	err := t.converse(ctx, &h, forwardable(req.Header), in, func(res *http.Response) (err error) {
		response, err = readAnswer(res)
		return err
	})
	if err == nil {
		return answer(x, response)
	}
	if in.stop() == nil {
		return err
	}
	hangUp(x) // it is the client's fault
	return nil
}

// setTime notes when a poll has to be answered.
func (h *head) setTime(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		h.within = min(max(time.Until(deadline), time.Millisecond), maxWithin)
	}
}

// bodyOf returns the body of a client's request, nil if there is none. A poll has none, and may
// wait for its answer.
func (r *Router) bodyOf(req *engine.Request, x engine.Exchange) *body {
	if req.Method == http.MethodGet {
		if p, ok := x.(engine.Parker); ok {
			_ = p.Park() // the engine logs that it fails
		}
		return nil
	}
	if req.Body == nil || req.ContentLength == 0 {
		return nil
	}
	return newBody(x, r.engine.MaxHTTPBufferSize)
}

// answer answers the client. An error means that the client has gone, and nothing is left
// to do.
func answer(x engine.Exchange, res engine.Response) error {
	_ = x.Respond(res)
	return nil
}

func hangUp(x engine.Exchange) {
	if a, ok := x.(engine.Aborter); ok {
		a.HangUp()
		return
	}
	_ = x.Respond(engine.Response{Status: http.StatusBadRequest})
}

// readAnswer returns the answer of another server as that to the client.
func readAnswer(res *http.Response) (engine.Response, error) {
	if res.Header.Get(headName) == "" {
		return engine.Response{}, errSecret
	}
	if res.StatusCode == http.StatusMisdirectedRequest {
		return engine.Response{}, engine.ErrNoSession
	}
	var buf bytes.Buffer
	const small = 64 << 10 // is allocated before it comes
	if n := res.ContentLength; n > 0 && n <= small {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return engine.Response{}, fmt.Errorf("forward: reading the answer: %w", err)
	}
	if n > maxAnswer {
		return engine.Response{}, fmt.Errorf("forward: the answer has more than %d bytes", int64(maxAnswer))
	}
	return engine.Response{Status: res.StatusCode, Header: answerHeader(res.Header), Body: buf.Bytes()}, nil
}

// answerHeader returns the header of an answer for the client.
func answerHeader(h http.Header) http.Header {
	out := forwardable(h)
	delete(out, headName)
	delete(out, "Date")
	return out
}

// release asks a server to answer the polls that this one has forwarded.
func (r *Router) release(ctx context.Context, p *peer) {
	if p.overBroker() {
		_ = r.send(ctx, p.location.Server, &frame{kind: releaseFrame})
		return
	}
	_ = route{r, p}.converse(ctx, &head{method: methodRelease}, nil, nil, func(*http.Response) error { return nil })
}
